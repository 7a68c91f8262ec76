/** The types of `openQueues`: what a program does with the jobs of a store. */
import type { LayoutOptions } from '../../core/layout.ts';
import type { JobTerms } from '../../spec/policy.ts';
import type { JobData } from '../job/job-data.ts';
import type { JobStatus } from '../job/job-result.ts';

export interface QueuesOptions {
  /** `redis://`, `rediss://`, `valkey://`, `valkeys://` or `postgres://`. */
  readonly store: string;
  /** The tenant of calls that name none. Default: jobs without a tenant. */
  readonly tenant?: string | undefined;
  /**
   * Which installation knows the names of stacks and code packages. False: none, only the catalogue in the store. Default: the usual one if
   * this process is root, else none.
   */
  readonly installation?: LayoutOptions | false | undefined;
  /** What a job may ask for. Default: the policy of the installation, else the usual bounds. Workers check jobs by their own policy. */
  readonly terms?: JobTerms | undefined;
  /** The folder where workers keep artefacts, as this machine sees it. */
  readonly artefacts?: string | undefined;
  /** The folder where workers keep logs, if they keep them in a folder, as this machine sees it. */
  readonly logs?: string | undefined;
}

type Input = 'payload' | 'payloadBase64' | 'config' | 'configBase64';

/** A job as a program describes it; docs/producers.md has all fields. */
export interface JobRequest extends Omit<JobData, Input | 'version' | 'scheduleId' | 'cancelled'> {
  /** Text, or any bytes. */
  readonly payload?: string | Uint8Array | undefined;
  readonly config?: string | Uint8Array | undefined;
}

export interface TenantOption {
  readonly tenant?: string | undefined;
}

/** How a name of a stack or of a code package is bound to what it names. */
export interface BindOption {
  /** True: leave names to the worker that takes the job. Default: bind them to digests now. */
  readonly unbound?: boolean | undefined;
}

export interface EnqueueOptions extends TenantOption, BindOption {
  /** When the job may start: `10m`, or milliseconds. Default: now. */
  readonly delay?: string | number | undefined;
  /** Among the jobs of its queue and tenant: 0 to 2,097,151, and 0 comes first. Default: the package's, else 0. */
  readonly priority?: number | undefined;
  /** A job with the same key in the same queue, of the same tenant, is not added again: its name is returned. */
  readonly key?: string | undefined;
  /** True: resolve once the job has ended. */
  readonly wait?: boolean | undefined;
}

export interface EnqueuedJob {
  /** The job's name: `queue~tenant~code~id`. */
  readonly job: string;
  /** Null unless the call waited for the end. */
  readonly status: JobStatus | null;
}

export interface WaitForJobOptions {
  /** Ends the waiting with ERR_STACKSHIM_JOB_WAIT_ABORTED; the job goes on. */
  readonly signal?: AbortSignal | undefined;
}

export interface JobLogOptions extends WaitForJobOptions {
  /** Go on until the job has ended. */
  readonly follow?: boolean | undefined;
  /** How many of the last lines that exist now. Default: all. */
  readonly tail?: number | undefined;
}

/** A piece of a job's output. */
export interface JobLogPiece {
  /** Number of the attempt that wrote it, from 1. */
  readonly attempt: number;
  /** When the worker read it, by its clock; ISO 8601, UTC. */
  readonly at: string;
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Uint8Array;
}

/** An artefact that was copied. */
export interface TakenArtefact {
  /** Path below the folder. */
  readonly path: string;
  readonly sizeBytes: number;
}

export interface CancelOptions {
  /** Who asks, for the record. */
  readonly by?: string | undefined;
}

/** When a schedule adds jobs: `pattern` or `every`. */
export interface ScheduleTimes {
  /** Five or six fields of cron: `0 3 * * *`. */
  readonly pattern?: string | undefined;
  /** A time zone for the pattern: `Europe/Berlin`. Default: UTC. */
  readonly tz?: string | undefined;
  /** `15m`, or milliseconds; at least a second. */
  readonly every?: string | number | undefined;
}

export interface ScheduleOptions extends TenantOption, BindOption, ScheduleTimes {
  readonly job: JobRequest;
  readonly priority?: number | undefined;
  /** True: bind the names of the job to digests now. Default: they must be known, and each job uses what is current when it starts. */
  readonly bound?: boolean | undefined;
}

export interface Schedule {
  readonly queue: string;
  readonly id: string;
  readonly tenant: string | null;
  readonly pattern: string | null;
  readonly tz: string | null;
  readonly everyMs: number | null;
  /** ISO 8601, UTC; null if none is planned. */
  readonly nextAt: string | null;
  readonly stack: string | null;
  readonly code: string | null;
}

/** The jobs of one queue and one tenant (and of one code package, if its concurrency is capped). */
export interface LaneSummary {
  readonly lane: string;
  readonly queue: string;
  readonly tenant: string | null;
  readonly code: string | null;
  readonly isPaused: boolean;
  readonly queued: number;
  /** Queued jobs that may not start yet. */
  readonly delayed: number;
  readonly running: number;
  readonly complete: number;
  /** Jobs that ended in any other way. */
  readonly failed: number;
  /** When the oldest job was queued that could start; null without one. ISO 8601, UTC. */
  readonly oldestAt: string | null;
}

/**
 * The queues of one store. An outage of the store ends no call: calls wait until the store is back. Names of jobs are plain text that is
 * checked (ERR_STACKSHIM_SPEC_INVALID); a job that the store does not have is ERR_STACKSHIM_JOB_NOT_FOUND.
 */
export interface Queues {
  /**
   * Adds a job and resolves once the store has acknowledged it. Rejects with ERR_STACKSHIM_SPEC_INVALID and _SPEC_DENIED for a job that
   * workers would refuse, with ERR_STACKSHIM_STACK_NOT_FOUND and _PACKAGE_NOT_FOUND for a name that neither the installation nor the
   * catalogue knows.
   */
  enqueue(queue: string, job: JobRequest, options?: EnqueueOptions): Promise<EnqueuedJob>;
  status(job: string): Promise<JobStatus>;
  /** Resolves once the job has ended, at once if it has. */
  wait(job: string, options?: WaitForJobOptions): Promise<JobStatus>;
  /** The output of all attempts, oldest first. */
  logs(job: string, options?: JobLogOptions): AsyncIterable<JobLogPiece>;
  /**
   * Copies the artefacts of the job's last attempt into a folder, which is made. Rejects with ERR_STACKSHIM_JOB_CONFLICT if the job has not
   * ended, with ERR_STACKSHIM_OUTPUT_FAILED if a file exists already.
   */
  outputs(job: string, folder: string): Promise<readonly TakenArtefact[]>;
  /**
   * Ends the job, whether it runs or not, and keeps its record. Nothing happens if it is cancelled already. Rejects with
   * ERR_STACKSHIM_JOB_CONFLICT if it has ended in another way.
   */
  cancel(job: string, options?: CancelOptions): Promise<JobStatus>;
  /** Queues a job that has ended once more, with its name; on Redis also with its earlier attempts. Rejects with ERR_STACKSHIM_JOB_CONFLICT if it has not ended. */
  retry(job: string): Promise<JobStatus>;
  /** Removes a job, its output and its artefacts. Rejects with ERR_STACKSHIM_JOB_CONFLICT if it runs or belongs to a schedule. */
  remove(job: string): Promise<void>;
  /** Adds a schedule, or replaces the one with this id. */
  schedule(queue: string, id: string, options: ScheduleOptions): Promise<Schedule>;
  /** Without a tenant: the schedules of all tenants. */
  schedules(queue: string, options?: TenantOption): Promise<readonly Schedule[]>;
  /** Removes a schedule and its next job; jobs that wait or run stay. Rejects with ERR_STACKSHIM_JOB_NOT_FOUND. */
  unschedule(queue: string, id: string, options?: TenantOption): Promise<void>;
  /**
   * Lets no further job of the queue start, or of one tenant in it, until `resume`. Running jobs go on. A producer that does not use this client
   * begins lanes that are not paused.
   */
  pause(queue: string, options?: TenantOption): Promise<void>;
  resume(queue: string, options?: TenantOption): Promise<void>;
  /** The lanes of a queue that have jobs, by tenant; without a queue, those of all queues. A lane whose jobs have all ended may be missing. */
  list(queue?: string, options?: TenantOption): Promise<readonly LaneSummary[]>;
  /**
   * Announces that these stacks of the installation will become current: workers with a registry pull them, by digest. References as in
   * `NAME@rev:4`. Rejects with ERR_STACKSHIM_STACK_NOT_FOUND, and announces nothing then.
   */
  announce(stacks: readonly string[]): Promise<void>;
  close(): Promise<void>;
}
