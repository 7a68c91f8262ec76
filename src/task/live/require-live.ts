/** Finds a running task for code that looks at it or changes it from any process, and says why another task will not do. */
import { statSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import { driverOf } from '../../runtime/drivers/driver-of.ts';
import { hasExecuted } from '../../sys/ask-process.ts';
import { findInit } from '../ending/kill-processes.ts';
import type { Installation } from '../installation.ts';
import { isOrphaned } from '../records/claim-record.ts';
import { readRecord } from '../records/read-record.ts';
import type { TaskRecord } from '../records/record.ts';
import { recordedPlaces, type TaskPlaces } from '../records/task-places.ts';

export interface LiveTask {
  readonly record: TaskRecord;
  readonly places: TaskPlaces;
  /** The host's pid of its first process. */
  readonly pid: number;
}

export interface LiveOptions {
  /** `pause task`: the beginning of messages. */
  readonly operation: string;
  /** Whether a task without an owner will do, because nothing is changed. */
  readonly mayBeOrphaned: boolean;
}

/**
 * The task with this id, which has processes. Throws ERR_STACKSHIM_TASK_NOT_FOUND; ERR_STACKSHIM_TASK_CONFLICT for a task that has ended,
 * is being set up or removed, or has no owner; ERR_STACKSHIM_RECORD_CORRUPT.
 */
export function requireLive(
  { layout, cgroups }: Installation,
  id: TaskId,
  options: LiveOptions,
): LiveTask {
  const { operation, mayBeOrphaned } = options;
  const record = readRecord(layout, id);
  if (record === undefined) throw toNotFound(operation, id);
  if (record.kept) throw toConflict(operation, id, 'it has ended; only its files are kept');
  if (!mayBeOrphaned && isOrphaned(record)) {
    const hint = 'run stackshim reap, which ends and removes such tasks';
    throw toConflict(operation, id, 'its owner is dead or has given it up', hint);
  }
  const places = recordedPlaces(layout, record);
  const pid = findInit(cgroups, places, record.runtime);
  if (pid !== undefined) return { record, places, pid };
  const isMade = statSync(places.pidFile, { throwIfNoEntry: false }) !== undefined;
  throw toConflict(operation, id, isMade ? 'it has ended' : 'its command has not begun yet');
}

/** Throws ERR_STACKSHIM_TASK_CONFLICT unless the task's first process runs its command. Before that, the runtime and its owner wait for it. */
export async function requireBegun({ record, places, pid }: LiveTask, operation: string) {
  const isReleased = statSync(places.limitFile, { throwIfNoEntry: false }) !== undefined;
  // A sandbox runs as a program before there is a command.
  const canTell = isReleased && driverOf(record.runtime).initIsPid1;
  if (isReleased && !(canTell && (await hasExecuted(pid)) === false)) return;
  throw toConflict(operation, record.id, 'its command has not begun yet');
}

const toNotFound = (operation: string, id: TaskId): StackshimError =>
  new StackshimError('ERR_STACKSHIM_TASK_NOT_FOUND', `${operation} ${id}: no such task`, {
    details: { id },
    hint: 'run stackshim ps to list the tasks; for a task of another installation, set its STACKSHIM_ROOT and STACKSHIM_RUN',
  });

/** @param hint Default: to look at the task's state. */
export const toConflict = (
  operation: string,
  id: TaskId,
  reason: string,
  hint = 'run stackshim ps to see the states of tasks',
): StackshimError =>
  new StackshimError('ERR_STACKSHIM_TASK_CONFLICT', `${operation} ${id}: ${reason}`, {
    details: { id },
    hint,
  });
