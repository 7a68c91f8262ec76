/** The record: one file, written before a task's first effect, that names everything the task may come to make. */
import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoCodeOf, StackshimError } from '../../core/errors.ts';
import type { ImageDigest, StackName, TaskId, TenantName } from '../../core/ids.ts';
import { type Layout, tasksDir } from '../../core/layout.ts';
import type { IdRange } from '../../core/mount.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { ensureDirectorySync } from '../../sys/files.ts';
import { type Owner, ownIdentity, type ProcessIdentity } from '../../sys/processes.ts';
import type { TaskPlaces } from './task-places.ts';

export const RECORD_VERSION = 1;

export interface TaskRecord {
  readonly version: typeof RECORD_VERSION;
  readonly id: TaskId;
  readonly owner: Owner;
  readonly stack: StackName;
  readonly revision: number;
  /** Keeps the image from collection. */
  readonly image: ImageDigest;
  /** Whose cgroup the task's own lies in. */
  readonly tenant?: TenantName;
  readonly runtime: Runtime;
  /** How many binds the task's root filesystem has: each is one place to look for a mount. */
  readonly bindCount: number;
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** What a stop begins with; absent: TERM. */
  readonly stopSignal?: number;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** True once the task has ended and its writable layer is to stay (`--keep`). */
  readonly kept: boolean;
  /** True once its owner has given up removing it: then anybody may. */
  readonly disowned: boolean;
}

/** Name of a task folder that is being made or removed; never a task id. */
const unfinishedName = (owner: Owner, id: TaskId) => `.new-${owner.pid}-${owner.startTime}-${id}`;

/** Who was making or removing a folder of that name; undefined for any other name. */
export function parseUnfinishedName(name: string): ProcessIdentity | undefined {
  const match = /^\.new-(\d{1,10})-(\d{1,16})-/.exec(name);
  return match === null ? undefined : { pid: Number(match[1]), startTime: Number(match[2]) };
}

/**
 * Creates the task's folder with its record in one step.
 * Throws ERR_STACKSHIM_TASK_CONFLICT when a task of this id exists.
 */
export function createRecord(layout: Layout, places: TaskPlaces, record: TaskRecord): void {
  const tasks = tasksDir(layout);
  const unfinished = `${tasks}/${unfinishedName(record.owner, record.id)}`;
  // The container's root must reach its root filesystem below this folder: passable, not listable.
  ensureDirectorySync(tasks, 0o711);
  mkdirSync(unfinished, { mode: 0o700 });
  try {
    writeFileSync(`${unfinished}/record.json`, JSON.stringify(record), { mode: 0o600 });
    renameSync(unfinished, places.taskDir);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    const code = errnoCodeOf(error);
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    throw new StackshimError(
      'ERR_STACKSHIM_TASK_CONFLICT',
      `create task ${record.id}: a task with this id exists`,
      {
        details: { id: record.id },
        cause: error,
      },
    );
  }
}

/**
 * Lets the root of the task's user namespace pass through the task's folder, which is closed to everybody but root until then. It is
 * known by its group alone: no process outside of the slot has that one.
 */
export function admitToTaskDir({ taskDir }: TaskPlaces, ids: IdRange): void {
  chownSync(taskDir, 0, ids.base);
  chmodSync(taskDir, 0o710);
}

/** Once its container is there nobody but root passes through a task's folder any more. */
export function closeTaskDir({ taskDir }: TaskPlaces): void {
  chmodSync(taskDir, 0o700);
}

/**
 * Takes a task's folder out of sight in one step, so that nobody finds a task that is half gone. Returns where the folder is
 * now, for the caller to remove; undefined when there is none. Should the caller die first, `reapTasks` removes it.
 */
export function retireTaskDir(places: TaskPlaces): string | undefined {
  const retired = `${dirname(places.taskDir)}/${unfinishedName(ownIdentity(), places.id)}`;
  try {
    renameSync(places.taskDir, retired);
    return retired;
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Takes back a record that nothing has come of. */
export function dropRecord(places: TaskPlaces): void {
  const retired = retireTaskDir(places);
  if (retired !== undefined) rmSync(retired, { recursive: true, force: true });
}

/** Replaces a task's record in one step. */
export function replaceRecord(places: TaskPlaces, record: TaskRecord): void {
  const next = `${places.recordFile}.next`;
  writeFileSync(next, JSON.stringify(record), { mode: 0o600 });
  renameSync(next, places.recordFile);
}
