/** Chooses what follows an attempt of a job. Pure. */
import type { JobResult } from '../job/job-result.ts';
import type { AttemptCounts } from './attempt-history.ts';

export type NextStep =
  | { readonly kind: 'end' }
  | {
      readonly kind: 'again';
      readonly delayMs: number;
      /** Whether the attempt counts against the job's own retries. */
      readonly isCounted: boolean;
    }
  /** The platform failed too often. */
  | { readonly kind: 'give-up' };

export interface Attempt extends Pick<JobResult, 'state' | 'retryable'> {
  readonly lackedMemory: boolean;
  /** Whether the job was cancelled meanwhile. */
  readonly isCancelled: boolean;
}

/** The retries that the job asks for. */
export interface RetryTerms {
  readonly retries: number;
  readonly delayMs: number;
  readonly backoff: 'fixed' | 'exponential';
  readonly hasMemoryRetry: boolean;
}

export interface Before extends AttemptCounts {
  /** The number of attempts that counted against the job's own retries. */
  readonly countedAttempts: number;
}

/** How many consecutive platform faults are retried; the next one gives the job up. */
const PLATFORM_BUDGET = 5;
/** A job is ended once this many workers have died while they ran it. */
export const DEAD_WORKERS_BUDGET = 3;

const PLATFORM_DELAY_MS = 1_000;
const LONGEST_PLATFORM_DELAY_MS = 30_000;
const LONGEST_DELAY_MS = 30 * 24 * 3_600_000;

export function chooseNextStep(attempt: Attempt, before: Before, terms: RetryTerms): NextStep {
  const { state, retryable, isCancelled } = attempt;
  if (state === 'complete' || state === 'cancelled' || isCancelled) return { kind: 'end' };
  if (retryable) {
    if (before.platformFaults >= PLATFORM_BUDGET) return { kind: 'give-up' };
    const delayMs = Math.min(
      PLATFORM_DELAY_MS * 2 ** before.platformFaults,
      LONGEST_PLATFORM_DELAY_MS,
    );
    return { kind: 'again', delayMs, isCounted: false };
  }
  if (attempt.lackedMemory && !before.lackedMemory && terms.hasMemoryRetry) {
    return { kind: 'again', delayMs: 0, isCounted: false };
  }
  const { countedAttempts } = before;
  if (countedAttempts >= terms.retries) return { kind: 'end' };
  const factor = terms.backoff === 'exponential' ? 2 ** countedAttempts : 1;
  return {
    kind: 'again',
    delayMs: Math.min(terms.delayMs * factor, LONGEST_DELAY_MS),
    isCounted: true,
  };
}
