/** Jobs that this machine cannot run now and another one may: how long they wait, and when no machine is believed to. Pure. */
import { StackshimError } from '../../core/errors.ts';
import { isMissingHere } from '../supply/fetch-missing.ts';
import type { Outcome } from './job-outcome.ts';

/** The job goes back, and no worker takes it for this time. */
export interface Elsewhere {
  readonly kind: 'elsewhere';
  readonly reason: string;
  readonly delayMs: number;
}

const USUAL_DELAY_MS = 10_000;
/** How many starts are enough to believe that no machine is large enough. */
const TOO_LARGE_STARTS = 6;
/** A stack or code may be missing for some time; the pauses double. */
const MISSING_DELAY_MS = 5_000;
const LONGEST_MISSING_DELAY_MS = 60_000;

export const NO_GUARD: Elsewhere = {
  kind: 'elsewhere',
  reason: 'the worker has no guard',
  delayMs: USUAL_DELAY_MS,
};

/** Undefined: give the job up. */
export function leaveTooLarge(startsInARow: number): Elsewhere | undefined {
  if (startsInARow >= TOO_LARGE_STARTS) return undefined;
  return { kind: 'elsewhere', reason: 'the machine is too small', delayMs: USUAL_DELAY_MS };
}

/**
 * Undefined: give the job up, because its pauses so far were as long as `missingMs`.
 */
export function leaveMissing(
  { message }: StackshimError,
  startsInARow: number,
  missingMs: number,
): Elsewhere | undefined {
  let waitedMs = 0;
  for (let start = 1; start < startsInARow; start += 1) waitedMs += missingDelayMs(start);
  if (waitedMs >= missingMs) return undefined;
  return { kind: 'elsewhere', reason: message, delayMs: missingDelayMs(startsInARow) };
}

const missingDelayMs = (start: number): number =>
  Math.min(MISSING_DELAY_MS * 2 ** (start - 1), LONGEST_MISSING_DELAY_MS);

/** The error of a task whose stack or code is not on this machine; undefined for every other end. */
export function missingIn(outcome: Outcome): StackshimError | undefined {
  if (outcome.kind === 'task') return undefined;
  const { code, message, hint, details } = outcome.error;
  const error = new StackshimError(code, message, { hint, details });
  return isMissingHere(error) ? error : undefined;
}
