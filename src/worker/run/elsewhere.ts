/** Jobs that this machine cannot run now, but another one may: how long they wait, and when they are given up. Pure. */
import type { ErrorCode } from '../../core/error-codes.ts';
import { StackshimError } from '../../core/errors.ts';
import { toStorableText } from '../job/storable.ts';
import { type NotedJob, toWaitNote, type WaitNote, waitsSince } from '../job/wait-note.ts';
import { isMissingHere } from '../supply/fetch-missing.ts';
import { type Outcome, REASON_CHARS } from './job-outcome.ts';

/** The job goes back, and no worker takes it for this time. */
export interface Elsewhere {
  readonly kind: 'elsewhere';
  readonly reason: string;
  /** The error that the job ends with if it is given up; null: it is not. */
  readonly code: ErrorCode | null;
  readonly delayMs: number;
  /** All pauses together from now on, until the job is given up; null: it is not. */
  readonly leftMs: number | null;
}

const USUAL_DELAY_MS = 10_000;
/** What is missing may be missing for some time; the pauses double. */
const MISSING_DELAY_MS = 5_000;
const LONGEST_MISSING_DELAY_MS = 60_000;

export const NO_GUARD: Elsewhere = {
  kind: 'elsewhere',
  reason: 'the worker has no guard',
  code: null,
  delayMs: USUAL_DELAY_MS,
  leftMs: null,
};

/**
 * Undefined: give the job up, because its pauses so far were as long as `missingMs`. A job that lacks room only because the disk is so full is
 * never given up.
 */
export function leaveTooLarge(
  error: StackshimError,
  startsInARow: number,
  missingMs: number,
): Elsewhere | undefined {
  if (error.details?.['isForNow'] === true) {
    const { code, message: reason } = error;
    return { kind: 'elsewhere', code, reason, delayMs: LONGEST_MISSING_DELAY_MS, leftMs: null };
  }
  const left = leaveMissing(error, startsInARow, missingMs);
  return left && { ...left, reason: `the machine is too small: ${left.reason}` };
}

/** The same for a stack or code that is not on the machine. */
export function leaveMissing(
  { code, message }: StackshimError,
  startsInARow: number,
  missingMs: number,
): Elsewhere | undefined {
  let [waitedMs, leftMs] = [0, 0];
  // The number of starts is the store's, and may be anything.
  for (let start = 1; waitedMs + leftMs < missingMs; start += 1) {
    if (start < startsInARow) waitedMs += missingDelayMs(start);
    else leftMs += missingDelayMs(start);
  }
  if (leftMs === 0) return undefined;
  const delayMs = missingDelayMs(startsInARow);
  return { kind: 'elsewhere', code, reason: message, delayMs, leftMs };
}

const missingDelayMs = (start: number): number =>
  Math.min(MISSING_DELAY_MS * 2 ** (start - 1), LONGEST_MISSING_DELAY_MS);

/** What a client learns about the job while it waits. */
export function noteOf(
  { reason, code, delayMs, leftMs }: Elsewhere,
  job: NotedJob & { readonly attemptsStarted: number },
  { worker, nowMs }: { readonly worker: string; readonly nowMs: number },
): WaitNote {
  const at = (ms: number) => new Date(nowMs + ms).toISOString();
  const wait = {
    code,
    reason: toStorableText(reason, REASON_CHARS),
    since: waitsSince(job, code) ?? at(0),
    nextTryAt: at(delayMs),
    triedUntil: leftMs === null ? null : at(leftMs),
    worker,
  };
  return toWaitNote(wait, job.attemptsStarted);
}

/** The error of a task whose stack or code is not on this machine; undefined for every other end. */
export function missingIn(outcome: Outcome): StackshimError | undefined {
  if (outcome.kind === 'task') return undefined;
  const { code, message, hint, details } = outcome.error;
  const error = new StackshimError(code, message, { hint, details });
  return isMissingHere(error) ? error : undefined;
}
