/** Jobs that this machine cannot run now but another machine may: how long they wait, and when they are given up. Pure. */
import type { ErrorCode } from '../../core/error-codes.ts';
import { StackshimError } from '../../core/errors.ts';
import { toStorableText } from '../job/storable.ts';
import { type NotedJob, toWaitNote, type WaitNote, waitsSince } from '../job/wait-note.ts';
import { isMissingHere } from '../supply/fetch-missing.ts';
import { type Outcome, REASON_CHARS } from './job-outcome.ts';

/** The job goes back to its lane, and no worker takes it for `delayMs`. */
export interface Elsewhere {
  readonly kind: 'elsewhere';
  readonly reason: string;
  /** The code of the job's error if it is given up; null if it never is. */
  readonly code: ErrorCode | null;
  readonly delayMs: number;
  /** The sum of all pauses from now until the job is given up; null if it never is. */
  readonly leftMs: number | null;
}

const USUAL_DELAY_MS = 10_000;
/** The first pause for a missing stack or code. The pauses double, because it may be missing for some time. */
const MISSING_DELAY_MS = 5_000;
const LONGEST_MISSING_DELAY_MS = 60_000;

export const NO_GUARD: Elsewhere = {
  kind: 'elsewhere',
  reason: 'the worker has no guard',
  code: null,
  delayMs: USUAL_DELAY_MS,
  leftMs: null,
};

/** Undefined once the job's pauses reach `missingMs`: give the job up. A job that lacks room only because the disk is so full is never given up. */
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

/** Like `leaveTooLarge`, for a stack or code that this machine lacks. */
export function leaveMissing(
  { code, message }: StackshimError,
  startsInARow: number,
  missingMs: number,
): Elsewhere | undefined {
  let [waitedMs, leftMs] = [0, 0];
  // Bounded by time, not by starts: the number of starts comes from the store and may be anything.
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

/** Builds the note that tells clients why the job waits. */
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

/** The error of a task whose stack or code this machine lacks; undefined for any other end. */
export function missingIn(outcome: Outcome): StackshimError | undefined {
  if (outcome.kind === 'task') return undefined;
  const { code, message, hint, details } = outcome.error;
  const error = new StackshimError(code, message, { hint, details });
  return isMissingHere(error) ? error : undefined;
}
