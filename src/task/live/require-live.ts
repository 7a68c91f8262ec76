/** Finds a running task for code that reads or changes it from any process, and explains why a task does not qualify. */
import { existsSync } from 'node:fs';
import type { TaskId } from '../../core/ids.ts';
import { driverOf } from '../../runtime/drivers/driver-of.ts';
import { hasExecuted } from '../../sys/ask-process.ts';
import { findInit } from '../ending/kill-processes.ts';
import type { Installation } from '../installation.ts';
import { isOrphaned } from '../records/claim-record.ts';
import { readRecord } from '../records/read-record.ts';
import type { TaskRecord } from '../records/record.ts';
import {
  ENDED,
  ORPHANED,
  STARTING,
  type TaskProblem,
  toTaskConflict,
  toTaskNotFound,
} from '../records/task-errors.ts';
import { recordedPlaces, type TaskPlaces } from '../records/task-places.ts';

export interface LiveTask {
  readonly record: TaskRecord;
  readonly places: TaskPlaces;
  /** Host pid of the task's first process. */
  readonly pid: number;
}

export interface LiveOptions {
  /** The beginning of error messages, such as `pause task`. */
  readonly operation: string;
  /** Whether an orphaned task qualifies, because nothing is changed. */
  readonly mayBeOrphaned: boolean;
}

/** Throws ERR_STACKSHIM_TASK_NOT_FOUND, _TASK_CONFLICT if the task has ended, is being set up or removed, or has no owner, _RECORD_CORRUPT. */
export function requireLive(
  installation: Installation,
  id: TaskId,
  { operation, mayBeOrphaned }: LiveOptions,
): LiveTask {
  const record = readRecord(installation.layout, id);
  if (record === undefined) throw toTaskNotFound(operation, id);
  const found = findLive(installation, record, mayBeOrphaned);
  if ('pid' in found) return found;
  throw toTaskConflict(operation, id, found);
}

/** The task of a record, if it has processes; otherwise the reason why not. */
export function findLive(
  { layout, cgroups }: Installation,
  record: TaskRecord,
  mayBeOrphaned: boolean,
): LiveTask | TaskProblem {
  if (record.kept) return ENDED;
  if (!mayBeOrphaned && isOrphaned(record)) return ORPHANED;
  const places = recordedPlaces(layout, record);
  const pid = findInit(cgroups, places, record.runtime);
  if (pid !== undefined) return { record, places, pid };
  return existsSync(places.pidFile) ? ENDED : STARTING;
}

/** Rejects with ERR_STACKSHIM_TASK_CONFLICT unless the first process runs the command: before that, the runtime and the owner wait for it. */
export async function requireBegun({ record, places, pid }: LiveTask, operation: string) {
  const isReleased = existsSync(places.limitFile);
  // A sandbox has executed its own program before there is a command.
  const canTell = isReleased && driverOf(record.runtime).initIsPid1;
  if (isReleased && !(canTell && (await hasExecuted(pid)) === false)) return;
  throw toTaskConflict(operation, record.id, STARTING);
}
