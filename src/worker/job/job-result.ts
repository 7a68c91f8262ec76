/** What became of a job: states in the words of hosted job services, and the result that stays with the job. */
import type { ErrorJson } from '../../core/errors.ts';
import type { TaskResult } from '../../task/result.ts';

const FINAL_STATES = ['complete', 'error', 'timeout', 'killed', 'cancelled'] as const;

/** `killed`: a limit ended the task; the verdict says which. */
export type FinalState = (typeof FINAL_STATES)[number];
export type JobState = 'queued' | 'preparing' | 'running' | FinalState;

export const isFinalState = (state: unknown): state is FinalState =>
  FINAL_STATES.some((one) => one === state);

/** The outcome of one attempt, and of the job if it is the last one. JSON-safe; contains no NUL and no lone surrogate. */
export interface JobResult {
  readonly state: FinalState;
  /** Number of the attempt, from 1; 0 if no attempt was made. */
  readonly attempt: number;
  /** Why there is no complete result: the shim's error, the build's, or the reason for which the job was refused. */
  readonly error: ErrorJson | null;
  /** True only if the platform, not the task, was at fault. */
  readonly retryable: boolean;
  /** ISO 8601, UTC, by the worker's clock; null if the command never ran. */
  readonly startedAt: string | null;
  readonly finishedAt: string;
  /** `host/pid` of the worker. */
  readonly worker: string;
  /** The bound package; null without one. */
  readonly code: string | null;
  /** What the task's last progress said; null if it said nothing. */
  readonly progress: string | null;
  /** The job's artefacts, in the order of its outputs. */
  readonly artefacts: readonly Artefact[];
  /** The task's own result record; null if there was no task. Captured output is left out: it is in the job's logs. */
  readonly task: TaskResult | null;
}

/** One file or folder that was kept with the job. */
export interface Artefact {
  /** Path below the job's folder of artefacts. */
  readonly path: string;
  readonly sizeBytes: number;
}

/** What an active job's worker last said about it; kept as the store's progress of the job. */
export interface LiveState {
  readonly state: 'preparing' | 'running';
  readonly attempt: number;
  readonly worker: string;
  /** The task's id on its machine. */
  readonly task: string;
  readonly startedAt: string | null;
  /** The text of the task's progress file; null if it said nothing. */
  readonly progress: string | null;
}

/** Why a worker did not run a job that it had taken, and when the job is tried again. */
export interface WaitState {
  /** The error that the job gets if no worker can run it; null: the fault is the worker's own. */
  readonly code: string | null;
  /** One sentence: what the worker lacked. */
  readonly reason: string;
  /** When a worker first lacked it. ISO 8601, UTC, by the workers' clocks, like the other times. */
  readonly since: string;
  /** No worker tries the job earlier. */
  readonly nextTryAt: string;
  /** A worker that still lacks it then ends the job as `error`; null: the job is tried until it runs. */
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
  /** When it may start, for a delayed or scheduled job; else null. */
  readonly runAt: string | null;
  readonly live: LiveState | null;
  /** Null unless a worker had the job and could not run it: its stack or code was not on the machine, or the machine was too small. */
  readonly waiting: WaitState | null;
  /** The earlier attempts, oldest first. */
  readonly attempts: readonly JobResult[];
  /** Null until the job has ended. */
  readonly result: JobResult | null;
}
