/** A job as producers write it and the store keeps it. schemas/queue-job.schema.json comes from the same rules; see docs/producers.md. */
import type { JobInput } from '../../spec/task-input.ts';

/** Raise the version when an older worker would misread a job. A worker refuses an unknown version. */
export const JOB_VERSION = 1;

/** What a job says about its task: no tenant, no id, nothing of the host. A payload is text or base64 bytes, never both. */
export interface JobData extends Omit<JobInput, 'stack' | 'payload'> {
  readonly version: typeof JOB_VERSION;
  /** `NAME`, `NAME@rev:N` or, bound, `NAME@sha256:…`. Required unless `code` names a package that has a stack. */
  readonly stack?: string | undefined;
  /** A code package of the lane's tenant: `NAME`, `NAME@rev:N` or, bound, `NAME@sha256:…`. */
  readonly code?: string | undefined;
  readonly payload?: string | undefined;
  readonly payloadBase64?: string | undefined;
  readonly config?: string | undefined;
  readonly configBase64?: string | undefined;
  /** The number of further attempts after the task failed: 0 to 10. Default: the package's, else 0. */
  readonly retries?: number | undefined;
  /** The delay before a further attempt: `30s`, or milliseconds. Default: 0. */
  readonly retryDelay?: string | number | undefined;
  /** `exponential` doubles the delay with each attempt. Default: `fixed`. */
  readonly backoff?: 'fixed' | 'exponential' | undefined;
  /** The memory of one further attempt after the task ran out of memory. */
  readonly memoryRetry?: string | number | undefined;
  /** Files and folders of the task that are kept with the job: sources as in `--output`. */
  readonly outputs?: readonly string[] | undefined;
  /** The id of the schedule that queued the job. */
  readonly scheduleId?: string | undefined;
  /** The durable mark that `cancel` sets. A worker that takes the job ends it. */
  readonly cancelled?: CancelMark | undefined;
}

export interface CancelMark {
  /** ISO 8601, UTC. */
  readonly at: string;
  /** Who cancelled the job, in their own words. */
  readonly by?: string | undefined;
}
