/** The file next to a task's record with the time by which the task must have ended, so that other processes can enforce the limit while the owner cannot. */
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { errnoCodeOf, isUsedUp, StackshimError } from '../../core/errors.ts';
import { integer, objectOf, oneOf, readWith } from '../../core/read-fields.ts';
import { readBoundedFile } from '../../sys/files.ts';
import type { TaskPlaces } from './task-places.ts';

export interface TimeLimit {
  /** On the clock of `monotonicMs`. */
  readonly endsAtMs: number;
  /** Time between the stop signal and KILL. */
  readonly graceMs: number;
}

const VERSION = 1;
const MAX_BYTES = 1_024;

const timeLimit = objectOf<TimeLimit & { readonly version: typeof VERSION }>({
  version: oneOf(VERSION),
  endsAtMs: integer(0),
  graceMs: integer(0),
});

/** Written once, when the command has begun. */
export function writeTimeLimit(
  { limitFile }: Pick<TaskPlaces, 'limitFile'>,
  { endsAtMs, graceMs }: TimeLimit,
): void {
  const json = JSON.stringify({ version: VERSION, endsAtMs: Math.ceil(endsAtMs), graceMs });
  writeFileSync(limitFile, json, { mode: 0o600 });
}

/** Undefined if the task has not begun or is gone, and while the file is being written. Throws ERR_STACKSHIM_RECORD_CORRUPT if it cannot be read. */
export function readTimeLimit({ limitFile }: Pick<TaskPlaces, 'limitFile'>): TimeLimit | undefined {
  try {
    const text = readBoundedFile(limitFile, { maxBytes: MAX_BYTES });
    return text === '' ? undefined : readWith(timeLimit, JSON.parse(text), (fault) => fault);
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return undefined;
    if (isUsedUp(error)) throw error;
    throw new StackshimError(
      'ERR_STACKSHIM_RECORD_CORRUPT',
      `read ${limitFile}: not a time limit`,
      {
        cause: error,
        details: { path: limitFile },
      },
    );
  }
}

/** True for the first caller, which then sends the stop signal. False for later callers, and if the task is gone. */
export function claimOverdue({ overdueFile }: Pick<TaskPlaces, 'overdueFile'>): boolean {
  try {
    closeSync(openSync(overdueFile, 'wx', 0o600));
    return true;
  } catch (error) {
    if (['EEXIST', 'ENOENT'].includes(errnoCodeOf(error) ?? '')) return false;
    throw error;
  }
}

/** Whether a process has stopped the task because its time was over. */
export const isOverdue = ({ overdueFile }: Pick<TaskPlaces, 'overdueFile'>): boolean =>
  existsSync(overdueFile);
