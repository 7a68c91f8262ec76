/**
 * A job as producers write it and as the store keeps it. schemas/queue-job.schema.json is generated from the same rules; docs/producers.md
 * describes it for producers in other languages.
 */
import type { JobInput } from '../../spec/task-input.ts';

/** Raise it when an older worker would misread a job. A worker refuses a version that it does not know. */
export const JOB_VERSION = 1;

/** What the job says about its task: no tenant, no id, nothing of the host. A payload is text or bytes in base64, never both. */
export interface JobData extends Omit<JobInput, 'stack' | 'payload'> {
  readonly version: typeof JOB_VERSION;
  /** `NAME`, `NAME@rev:N` or, bound, `NAME@sha256:…`. Needed unless `code` names a package that has a stack. */
  readonly stack?: string | undefined;
  /** A code package of the lane's tenant: `NAME`, `NAME@rev:N` or, bound, `NAME@sha256:…`. */
  readonly code?: string | undefined;
  readonly payload?: string | undefined;
  readonly payloadBase64?: string | undefined;
  readonly config?: string | undefined;
  readonly configBase64?: string | undefined;
  /** Further attempts after a failure of the task: 0 to 10. Default: the package's, else 0. */
  readonly retries?: number | undefined;
  /** Time before a further attempt: `30s`. Default: 0. */
  readonly retryDelay?: string | number | undefined;
  /** Whether the time doubles with each attempt. Default: `fixed`. */
  readonly backoff?: 'fixed' | 'exponential' | undefined;
  /** Memory of one further attempt after the task was killed for lack of memory. */
  readonly memoryRetry?: string | number | undefined;
  /** What is taken out of the task and kept with the job: sources as in `--output`. */
  readonly outputs?: readonly string[] | undefined;
  /** The id of the schedule that queued it. */
  readonly scheduleId?: string | undefined;
  /** Set by `cancel`: the durable mark. A worker that takes the job ends it. */
  readonly cancelled?: CancelMark | undefined;
}

export interface CancelMark {
  /** ISO 8601, UTC. */
  readonly at: string;
  /** Who asked for it, in their own words. */
  readonly by?: string | undefined;
}
