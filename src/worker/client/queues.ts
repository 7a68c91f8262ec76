/** The types of `openQueues`: what a program can do with the jobs of a store. */
import type { LayoutOptions } from '../../core/layout.ts';
import type { JobTerms } from '../../spec/policy.ts';
import type { JobData } from '../job/job-data.ts';
import type { JobStatus } from '../job/job-result.ts';

export interface QueuesOptions {
  /** The store's address: `redis://`, `rediss://`, `valkey://`, `valkeys://` or `postgres://`. */
  readonly store: string;
  /** The tenant for calls that name none. Default: jobs have no tenant. */
  readonly tenant?: string | undefined;
  /** The installation that resolves stack and code names; false: only the catalogue. Default: the usual one if run as root, else none. */
  readonly installation?: LayoutOptions | false | undefined;
  /** Bounds for jobs. Default: the installation's policy, else the built-in bounds. Workers check jobs by their own policy. */
  readonly terms?: JobTerms | undefined;
  /** The folder where workers keep artefacts, as mounted on this machine. */
  readonly artefacts?: string | undefined;
  /** The folder where workers keep logs, if they use one, as mounted on this machine. */
  readonly logs?: string | undefined;
}

type Input = 'payload' | 'payloadBase64' | 'config' | 'configBase64';

/** A job as a program describes it. docs/producers.md lists all fields. */
export interface JobRequest extends Omit<JobData, Input | 'version' | 'scheduleId' | 'cancelled'> {
  /** Text or arbitrary bytes. */
  readonly payload?: string | Uint8Array | undefined;
  readonly config?: string | Uint8Array | undefined;
}

export interface TenantOption {
  readonly tenant?: string | undefined;
}

/** When names of stacks and code packages are bound to digests. */
export interface BindOption {
  /** True: leave names to the worker that takes the job. Default: bind them to digests now. */
  readonly unbound?: boolean | undefined;
}

export interface EnqueueOptions extends TenantOption, BindOption {
  /** The job starts no earlier than after this time: `10m`, or milliseconds. Default: 0. */
  readonly delay?: string | number | undefined;
  /** Order among the jobs of the same queue and tenant: 0 (first) to 2,097,151. Default: the package's priority, else 0. */
  readonly priority?: number | undefined;
  /** Deduplicates: if the queue has a job of the same tenant with this key, no job is added, and that job's name is returned. */
  readonly key?: string | undefined;
  /** True: resolve once the job has ended. */
  readonly wait?: boolean | undefined;
}

export interface EnqueuedJob {
  /** The job's name: `queue~tenant~code~id`. */
  readonly job: string;
  /** The final status. Null unless the call waited for the end. */
  readonly status: JobStatus | null;
}

export interface WaitForJobOptions {
  /** Stops waiting with ERR_STACKSHIM_JOB_WAIT_ABORTED; the job continues. */
  readonly signal?: AbortSignal | undefined;
}

export interface JobLogOptions extends WaitForJobOptions {
  /** Continue until the job has ended. */
  readonly follow?: boolean | undefined;
  /** Start with this many of the existing last lines. Default: all lines. */
  readonly tail?: number | undefined;
}

/** A piece of a job's output. */
export interface JobLogPiece {
  /** The number of the attempt that wrote the piece, from 1. */
  readonly attempt: number;
  /** When the worker read the piece, by the worker's clock; ISO 8601, UTC. */
  readonly at: string;
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Uint8Array;
}

/** A copied artefact. */
export interface TakenArtefact {
  /** Path relative to the target folder. */
  readonly path: string;
  readonly sizeBytes: number;
}

export interface CancelOptions {
  /** Who cancels the job; kept in its record. */
  readonly by?: string | undefined;
}

/** When a schedule adds jobs: give either `pattern` or `every`. */
export interface ScheduleTimes {
  /** A cron pattern of five or six fields: `0 3 * * *`. */
  readonly pattern?: string | undefined;
  /** The pattern's time zone: `Europe/Berlin`. Default: UTC. */
  readonly tz?: string | undefined;
  /** The interval: `15m`, or milliseconds; at least one second. */
  readonly every?: string | number | undefined;
}

export interface ScheduleOptions extends TenantOption, BindOption, ScheduleTimes {
  readonly job: JobRequest;
  readonly priority?: number | undefined;
  /** True: bind the job's names to digests now. Default: the names must be known, and each job uses what is current when it starts. */
  readonly bound?: boolean | undefined;
}

export interface Schedule {
  readonly queue: string;
  readonly id: string;
  readonly tenant: string | null;
  readonly pattern: string | null;
  readonly tz: string | null;
  readonly everyMs: number | null;
  /** When the next job is due, ISO 8601, UTC; null if none is planned. */
  readonly nextAt: string | null;
  readonly stack: string | null;
  readonly code: string | null;
}

/** The jobs of one queue and one tenant, and of one code package if its concurrency is capped. */
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
  /** Jobs that ended in any other way than complete. */
  readonly failed: number;
  /** When the oldest job that could start was queued, ISO 8601, UTC; null without one. */
  readonly oldestAt: string | null;
}

/**
 * The queues of one store. During an outage of the store, calls wait until it is back. Calls reject with ERR_STACKSHIM_SPEC_INVALID for a text
 * that is not a job's name, with ERR_STACKSHIM_JOB_NOT_FOUND for a job that the store does not have.
 */
export interface Queues {
  /**
   * Adds a job. Resolves once the store has acknowledged it. Rejects with ERR_STACKSHIM_SPEC_INVALID or _SPEC_DENIED if workers would refuse the
   * job, with ERR_STACKSHIM_STACK_NOT_FOUND or _PACKAGE_NOT_FOUND if neither the installation nor the catalogue knows a name.
   */
  enqueue(queue: string, job: JobRequest, options?: EnqueueOptions): Promise<EnqueuedJob>;
  status(job: string): Promise<JobStatus>;
  /** Resolves once the job has ended; at once if it already has. */
  wait(job: string, options?: WaitForJobOptions): Promise<JobStatus>;
  /** Yields the output of all attempts, oldest first. */
  logs(job: string, options?: JobLogOptions): AsyncIterable<JobLogPiece>;
  /**
   * Copies the artefacts of the job's last attempt into a folder, which is created. Rejects with ERR_STACKSHIM_JOB_CONFLICT if the job has not
   * ended, with ERR_STACKSHIM_OUTPUT_FAILED if a file exists already.
   */
  outputs(job: string, folder: string): Promise<readonly TakenArtefact[]>;
  /** Ends a queued or running job and keeps its record; no-op once cancelled. Rejects with ERR_STACKSHIM_JOB_CONFLICT if it ended otherwise. */
  cancel(job: string, options?: CancelOptions): Promise<JobStatus>;
  /** Queues an ended job again, with its name and earlier attempts. Rejects with ERR_STACKSHIM_JOB_CONFLICT if it has not ended. */
  retry(job: string): Promise<JobStatus>;
  /** Removes a job, its output and its artefacts. Rejects with ERR_STACKSHIM_JOB_CONFLICT if the job runs or belongs to a schedule. */
  remove(job: string): Promise<void>;
  /** Adds a schedule, or replaces the schedule with this id. */
  schedule(queue: string, id: string, options: ScheduleOptions): Promise<Schedule>;
  /** Lists the schedules of one tenant; without a tenant, of all tenants. */
  schedules(queue: string, options?: TenantOption): Promise<readonly Schedule[]>;
  /** Removes a schedule and its next job; waiting and running jobs stay. Rejects with ERR_STACKSHIM_JOB_NOT_FOUND. */
  unschedule(queue: string, id: string, options?: TenantOption): Promise<void>;
  /** Starts no further job of the queue, or of one tenant in it, until `resume`; running jobs continue. Other producers' new lanes are not paused. */
  pause(queue: string, options?: TenantOption): Promise<void>;
  resume(queue: string, options?: TenantOption): Promise<void>;
  /** Lists a queue's lanes that have jobs, by tenant; without a queue, those of all queues. May omit a lane whose jobs have all ended. */
  list(queue?: string, options?: TenantOption): Promise<readonly LaneSummary[]>;
  /**
   * Announces that these stacks of the installation will become current; workers with a registry pull them by digest. References may be
   * `NAME@rev:4`. Rejects with ERR_STACKSHIM_STACK_NOT_FOUND and then announces nothing.
   */
  announce(stacks: readonly string[]): Promise<void>;
  close(): Promise<void>;
}
