/** The events of a worker, from which its log is made. None contains a payload, output of a task or a password. */
import { hostname } from 'node:os';
import type { FinalState } from './job/job-result.ts';
import type { Needs } from './taken-job.ts';

export type WorkerEvent =
  | {
      readonly type: 'started';
      readonly store: string;
      readonly queues: readonly string[];
      readonly concurrency: number;
    }
  /** The operator should change something about the store or the host: `appendonly` is off, the clock is wrong. */
  | { readonly type: 'warning'; readonly code: string; readonly message: string }
  /** No further job is taken. */
  | { readonly type: 'draining'; readonly running: number; readonly drainMs: number }
  | { readonly type: 'drained'; readonly handedBack: number }
  | { readonly type: 'job_taken'; readonly job: string; readonly attempt: number }
  | {
      readonly type: 'job_ended';
      readonly job: string;
      readonly attempt: number;
      /** The final state of this attempt. */
      readonly state: FinalState;
      /** Whether a further attempt follows. */
      readonly willRetry: boolean;
      /** Null if there was no task. */
      readonly task: string | null;
      readonly verdict: string | null;
      readonly exitCode: number | null;
      /** How long the command ran; null if it did not. */
      readonly wallMs: number | null;
      /** Whether the platform, not the task, was at fault. */
      readonly retryable: boolean;
      /** The code of the shim's error; null without one. */
      readonly error: string | null;
      /** One sentence that begins with the state: one line without control characters, at most 300 characters. */
      readonly reason: string;
      /** The time from the take to the end. */
      readonly durationMs: number;
    }
  | {
      readonly type: 'job_handed_back';
      readonly job: string;
      readonly attempt: number;
      readonly reason: string;
    }
  | {
      readonly type: 'lock_lost';
      readonly job: string;
      readonly attempt: number;
      readonly task: string | null;
    }
  | { readonly type: 'store_unreachable' }
  | { readonly type: 'store_reachable'; readonly downMs: number }
  | { readonly type: 'guard_restarted' };

/** `host/pid`: names this worker in results, live states, the store and the log. */
export const ownName = (): string => `${hostname()}/${process.pid}`;

export interface WorkerStatus {
  readonly store: string;
  readonly queues: readonly string[];
  readonly concurrency: number;
  /** The number of jobs that this worker holds now. */
  readonly running: number;
  /** The number of lanes that this worker knows. */
  readonly lanes: number;
  readonly isTaking: boolean;
  readonly isStoreReachable: boolean;
  readonly isGuardAlive: boolean;
  /** The running jobs' reservations, and the machine's total for jobs. */
  readonly budget: { readonly reserved: Needs; readonly total: Needs };
  /** When the store last confirmed a renewal of locks, ISO 8601, UTC; null: not yet. */
  readonly lastRenewalAt: string | null;
}
