/** Reads records back: for those who list, end and reap tasks. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { errnoCodeOf, isUsedUp, StackshimError } from '../../core/errors.ts';
import {
  type ImageDigest,
  isImageDigest,
  isStackName,
  isTaskId,
  isTenantName,
  type StackName,
  type TaskId,
  type TenantName,
} from '../../core/ids.ts';
import { type Layout, tasksDir } from '../../core/layout.ts';
import {
  date,
  flag,
  integer,
  listOf,
  mapOf,
  objectOf,
  oneOf,
  optional,
  readWith,
  text,
  textThat,
} from '../../core/read-fields.ts';
import { RUNTIME_KINDS } from '../../runtime/drivers/driver-of.ts';
import type { Owner, ProcessIdentity } from '../../sys/processes.ts';
import { RECORD_VERSION, type TaskRecord } from './record.ts';
import { taskPlaces } from './task-places.ts';

/** A record is small; a larger file is not one. */
const MAX_RECORD_BYTES = 1024 * 1024;

const MOST_BINDS = 1024;
const MOST_SIGNAL = 64;

const processIdentity = { pid: integer(1), startTime: integer(0) };

const taskRecord = objectOf<TaskRecord>({
  version: oneOf(RECORD_VERSION),
  id: textThat<TaskId>(isTaskId, 'not a task id'),
  owner: objectOf<Owner>({
    ...processIdentity,
    bootId: text,
    thread: optional(objectOf<ProcessIdentity>(processIdentity)),
  }),
  stack: textThat<StackName>(isStackName, 'not a stack name'),
  revision: integer(0),
  image: textThat<ImageDigest>(isImageDigest, 'not an image digest'),
  tenant: optional(textThat<TenantName>(isTenantName, 'not a tenant name')),
  runtime: objectOf({
    kind: oneOf(...RUNTIME_KINDS),
    path: textThat((value) => value.startsWith('/'), 'not an absolute path'),
    version: text,
  }),
  bindCount: integer(0, MOST_BINDS),
  command: listOf(text),
  labels: mapOf(text),
  stopSignal: optional(integer(1, MOST_SIGNAL)),
  createdAt: date,
  kept: flag,
  disowned: flag,
});

/** Ids of all tasks that have a folder, in alphabetical order. */
export function listTaskIds(layout: Layout): readonly TaskId[] {
  return taskFolderNames(layout).filter(isTaskId).sort();
}

/** Every name in the tasks folder: ids, and folders that their makers did not finish. */
export function taskFolderNames(layout: Layout): readonly string[] {
  try {
    return readdirSync(tasksDir(layout));
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/**
 * The record of a task; undefined when there is no such task.
 * Throws ERR_STACKSHIM_RECORD_CORRUPT when its folder holds no readable record.
 */
export function readRecord(layout: Layout, id: TaskId): TaskRecord | undefined {
  const { recordFile, taskDir } = taskPlaces(layout, id);
  try {
    if (statSync(recordFile).size > MAX_RECORD_BYTES) throw new RangeError('too large');
    const value: unknown = JSON.parse(readFileSync(recordFile, 'utf8'));
    const record = readWith(taskRecord, value, (fault) => fault);
    if (record.id !== id) throw new TypeError(`it names task ${record.id}`);
    return record;
  } catch (error) {
    if (
      errnoCodeOf(error) === 'ENOENT' &&
      statSync(taskDir, { throwIfNoEntry: false }) === undefined
    ) {
      return undefined;
    }
    if (isUsedUp(error)) throw error;
    throw new StackshimError('ERR_STACKSHIM_RECORD_CORRUPT', `read ${recordFile}: not a record`, {
      cause: error,
      details: { path: recordFile },
      hint: `run stackshim kill ${id} to end and remove the task, whatever its record says`,
    });
  }
}
