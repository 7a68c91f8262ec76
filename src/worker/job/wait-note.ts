/** The note that a worker leaves with a job that it could not run: stored as the job's progress until its next take. Pure. */
import { isObject } from '../../core/read-fields.ts';
import type { WaitState } from './job-result.ts';
import { textOrNull } from './stored-values.ts';

/** A job's fields in the store. Anyone who can write to the store may have written them. */
export interface NotedJob {
  readonly progress: unknown;
  /** How often the job was taken; restarts at 0 when a client retries the job. */
  readonly attemptsStarted: unknown;
}

export interface WaitNote extends WaitState {
  readonly state: 'waiting';
  /** The number of the take that the note is about; a later take makes the note void. */
  readonly start: number;
}

export const toWaitNote = (wait: WaitState, start: number): WaitNote => ({
  ...{ state: 'waiting', start },
  ...wait,
});

/** Null without a note, or if the job was taken or queued again since. */
export function readWaitNote({ progress, attemptsStarted }: NotedJob): WaitState | null {
  const note = readNote(progress);
  return note?.start === attemptsStarted ? (note?.wait ?? null) : null;
}

/** Since when the job has waited for this reason without interruption; undefined if it did not wait for it before this take. */
export function waitsSince(
  { progress, attemptsStarted }: NotedJob,
  code: string | null,
): string | undefined {
  const note = readNote(progress);
  const isOfTakeBefore = note !== undefined && note.start + 1 === attemptsStarted;
  return isOfTakeBefore && note.wait.code === code ? note.wait.since : undefined;
}

function readNote(progress: unknown): { wait: WaitState; start: number } | undefined {
  if (!isObject(progress)) return undefined;
  const note: Readonly<Partial<Record<keyof WaitNote, unknown>>> = progress;
  const { state, start, code, reason, since, nextTryAt, triedUntil, worker } = note;
  if (state !== 'waiting' || !Number.isSafeInteger(start) || typeof reason !== 'string') return;
  if (!isTime(since) || !isTime(nextTryAt)) return undefined;
  const wait = {
    code: textOrNull(code),
    ...{ reason, since, nextTryAt },
    triedUntil: isTime(triedUntil) ? triedUntil : null,
    worker: textOrNull(worker) ?? '',
  };
  return { wait, start: Number(start) };
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const isTime = (value: unknown): value is string => typeof value === 'string' && TIME.test(value);
