/** What follows after an attempt of a job. Pure. */
import type { FinalState } from '../job/job-result.ts';
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

export interface Attempt {
  readonly state: FinalState;
  /** Whether the platform was at fault. */
  readonly retryable: boolean;
  readonly lackedMemory: boolean;
  /** Whether somebody has cancelled the job meanwhile. */
  readonly isCancelled: boolean;
}

/** What the job asks for. */
export interface RetryTerms {
  readonly retries: number;
  readonly delayMs: number;
  readonly backoff: 'fixed' | 'exponential';
  readonly hasMemoryRetry: boolean;
}

export interface Before extends AttemptCounts {
  /** Attempts that counted against the job's own retries. */
  readonly countedAttempts: number;
}

/** Faults of the platform in a row after which a job is given up. */
const PLATFORM_BUDGET = 5;
/** As many workers may die while they run a job. */
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
