/** Reads records back: for those who list, end and reap tasks. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import * as z from 'zod/mini';
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
import { RECORD_VERSION, type TaskRecord } from './record.ts';
import { taskPlaces } from './task-places.ts';

/** A record is small; a larger file is not one. */
const MAX_RECORD_BYTES = 1024 * 1024;

const whole = z.int().check(z.gte(0));

const recordSchema = z.strictObject({
  version: z.literal(RECORD_VERSION),
  id: z.custom<TaskId>((value) => typeof value === 'string' && isTaskId(value)),
  owner: z.strictObject({ pid: z.int().check(z.gte(1)), startTime: whole, bootId: z.string() }),
  stack: z.custom<StackName>((value) => typeof value === 'string' && isStackName(value)),
  revision: whole,
  image: z.custom<ImageDigest>((value) => typeof value === 'string' && isImageDigest(value)),
  tenant: z.exactOptional(
    z.custom<TenantName>((value) => typeof value === 'string' && isTenantName(value)),
  ),
  runtime: z.strictObject({
    kind: z.enum(['runc', 'crun', 'runsc', 'other']),
    path: z.string().check(z.startsWith('/')),
    version: z.string(),
  }),
  bindCount: z.int().check(z.gte(0), z.lte(1024)),
  command: z.array(z.string()),
  labels: z.record(z.string(), z.string()),
  createdAt: z.iso.datetime(),
  kept: z.boolean(),
  disowned: z.boolean(),
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
    const record = recordSchema.parse(JSON.parse(readFileSync(recordFile, 'utf8')));
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
      hint: `stackshim kill ${id} removes what the task left, whatever its record says`,
    });
  }
}
