/** The record: one file, written before a task's first effect, that names everything the task may come to make. */
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { errnoCodeOf, StackshimError } from '../../core/errors.ts';
import { PROGRAM_VERSION } from '../../core/format-version.ts';
import type { ImageDigest, StackName, TaskId, TenantName } from '../../core/ids.ts';
import { type Layout, tasksDir } from '../../core/layout.ts';
import type { IdRange } from '../../core/mount.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { ensureDirectorySync, toOwnedName } from '../../sys/files.ts';
import { type Owner, ownIdentity, type ProcessIdentity } from '../../sys/processes.ts';
import type { DiskMechanism } from '../disk/task-disk.ts';
import type { TaskPlaces } from './task-places.ts';

/** The newest version that this program reads, and the one that it writes. */
export const RECORD_VERSION = 2;

/** What follows from more than the task's id: from the root folder, the tenant, or the version that made it. Absolute paths. */
export interface TaskNames {
  /** Below the mount point of each cgroup hierarchy. */
  readonly cgroup: string;
  readonly scratchDir: string;
  readonly volumeFile: string;
  readonly idleVolumeDir: string;
  /** The runtime's `--root`. */
  readonly stateRoot: string;
}

/** What a task was given once it was made: absent before that, and with the records of version 1. */
export interface TaskHoldings {
  /** Number of its slot. */
  readonly slot?: number;
  /** What holds it to its disk limit. */
  readonly diskMechanism?: DiskMechanism;
  /** `loop3`: the device of its scratch volume. */
  readonly loopDevice?: string;
}

/** How a task's command ended: by an exit code, or by a signal. */
export interface TaskExit {
  /** Null: a signal ended it. */
  readonly exitCode: number | null;
  /** `SIGKILL`; null: it ended by itself. */
  readonly signal: string | null;
  /** ISO 8601, UTC. */
  readonly at: string;
}

export interface TaskRecord extends TaskHoldings {
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
  readonly names: TaskNames;
  /** How its command ended, once it has. */
  readonly exit?: TaskExit;
}

/** As records are written. A field that a reader does not know makes it refuse the record: a new one is a new version. */
const toStoredRecord = (record: TaskRecord): string =>
  JSON.stringify({ version: RECORD_VERSION, writtenBy: PROGRAM_VERSION, ...record });

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
    writeFileSync(`${unfinished}/record.json`, toStoredRecord(record), { mode: 0o600 });
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

/**
 * Replaces a task's record in one step, under a temporary name of the caller's own. Only for the record's owner, while it lives, and for
 * whoever holds the lock of the task's folder (`claimRecord`): two who write at once would undo each other's change.
 */
export function replaceRecord(
  { recordFile }: Pick<TaskPlaces, 'recordFile'>,
  record: TaskRecord,
): void {
  const next = `${recordFile}.${toOwnedName()}.next`;
  writeFileSync(next, toStoredRecord(record), { mode: 0o600 });
  renameSync(next, recordFile);
}

/** The record of the caller's own task, which it changes as it learns more. */
export class OwnRecord {
  readonly #places: TaskPlaces;
  #record: TaskRecord;

  constructor(places: TaskPlaces, record: TaskRecord) {
    this.#places = places;
    this.#record = record;
  }

  get value(): TaskRecord {
    return this.#record;
  }

  /** Throws what the disk says; then the record is as it was. */
  note(change: Partial<TaskRecord>): void {
    const changed = { ...this.#record, ...change };
    replaceRecord(this.#places, changed);
    this.#record = changed;
  }

  /** False when it cannot be written: then the record is as it was. */
  tryNote(change: Partial<TaskRecord>): boolean {
    try {
      this.note(change);
      return true;
    } catch {
      return false;
    }
  }
}

/** By when a running task must have ended, for others to hold it to that while its owner cannot: a file beside its record. */
export interface TimeLimit {
  /** On the clock of `monotonicMs`. */
  readonly endsAtMs: number;
  /** Between the stop signal and KILL. */
  readonly graceMs: number;
}

export const TIME_LIMIT_VERSION = 1;

/** Written once, when the command has begun. */
export function writeTimeLimit(
  { limitFile }: Pick<TaskPlaces, 'limitFile'>,
  { endsAtMs, graceMs }: TimeLimit,
): void {
  const json = JSON.stringify({
    version: TIME_LIMIT_VERSION,
    endsAtMs: Math.ceil(endsAtMs),
    graceMs,
  });
  writeFileSync(limitFile, json, { mode: 0o600 });
}

/** True for the first who asks, its owner or another: that one sends the stop signal. False, too, when the task is gone. */
export function claimOverdue({ overdueFile }: Pick<TaskPlaces, 'overdueFile'>): boolean {
  try {
    closeSync(openSync(overdueFile, 'wx', 0o600));
    return true;
  } catch (error) {
    if (['EEXIST', 'ENOENT'].includes(errnoCodeOf(error) ?? '')) return false;
    throw error;
  }
}

/** Whether somebody has stopped the task because its time was over. */
export const isOverdue = ({ overdueFile }: Pick<TaskPlaces, 'overdueFile'>): boolean =>
  existsSync(overdueFile);
