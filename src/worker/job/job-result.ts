/** What became of a job: states in the words of hosted job services, and the result that stays with the job. */
import type { ErrorJson } from '../../core/errors.ts';
import type { TaskResult } from '../../task/result.ts';

const FINAL_STATES = ['complete', 'error', 'timeout', 'killed', 'cancelled'] as const;

/** `killed`: a limit ended the task; the verdict names the limit. */
export type FinalState = (typeof FINAL_STATES)[number];
export type JobState = 'queued' | 'preparing' | 'running' | FinalState;

export const isFinalState = (state: unknown): state is FinalState =>
  FINAL_STATES.some((one) => one === state);

/** The outcome of one attempt; of the job, if it is the last. JSON-safe, without NUL and lone surrogates. */
export interface JobResult {
  readonly state: FinalState;
  /** The number of the attempt, from 1; 0 if no attempt was made. */
  readonly attempt: number;
  /** Why there is no complete result: the error of the shim or of the build, or the reason for refusing the job. */
  readonly error: ErrorJson | null;
  /** True only if the platform, not the task, was at fault. */
  readonly retryable: boolean;
  /** ISO 8601, UTC, by the worker's clock; null if the command never ran. */
  readonly startedAt: string | null;
  readonly finishedAt: string;
  /** The worker's name, `host/pid`. */
  readonly worker: string;
  /** The bound code package; null without one. */
  readonly code: string | null;
  /** The task's last progress; null if it wrote none. */
  readonly progress: string | null;
  /** The job's artefacts, in the order of its outputs. */
  readonly artefacts: readonly Artefact[];
  /** The task's own result record without captured output, which is in the job's logs. Null if there was no task. */
  readonly task: TaskResult | null;
}

/** One file or folder that was kept with the job. */
export interface Artefact {
  /** Path below the job's folder of artefacts. */
  readonly path: string;
  readonly sizeBytes: number;
}

/** The state that the worker of an active job last wrote; stored as BullMQ's progress of the job. */
export interface LiveState {
  readonly state: 'preparing' | 'running';
  readonly attempt: number;
  readonly worker: string;
  /** The task's id on its machine. */
  readonly task: string;
  readonly startedAt: string | null;
  /** The text of the task's progress file; null if the task wrote none. */
  readonly progress: string | null;
}

/** Why a worker did not run a job that it had taken, and when the job is tried again. */
export interface WaitState {
  /** The code of the job's error if no worker can run it; null: the fault is the worker's own. */
  readonly code: string | null;
  /** One sentence: what the worker lacked. */
  readonly reason: string;
  /** When a worker first lacked it. ISO 8601, UTC, by the workers' clocks, like the other times. */
  readonly since: string;
  /** No worker tries the job before this time. */
  readonly nextTryAt: string;
  /** At this time, a worker that still lacks it ends the job as `error`; null: the job is tried until it runs. */
  readonly triedUntil: string | null;
  /** `host/pid` of the worker that tried last. */
  readonly worker: string;
}

/** A job as a client sees it. */
export interface JobStatus {
  /** The job's name: `queue~tenant~code~id`. */
  readonly job: string;
  readonly state: JobState;
  readonly stack: string | null;
  readonly code: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly queuedAt: string;
  /** The earliest start of a delayed or scheduled job; else null. */
  readonly runAt: string | null;
  readonly live: LiveState | null;
  /** Null unless a worker took the job but could not run it: its stack or code was missing, or the machine was too small. */
  readonly waiting: WaitState | null;
  /** The earlier attempts, oldest first. */
  readonly attempts: readonly JobResult[];
  /** Null until the job has ended. */
  readonly result: JobResult | null;
}
