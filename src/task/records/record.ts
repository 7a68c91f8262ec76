/** The record: one file, written before a task's first effect, that names everything the task may make. */
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
import { errnoCodeOf, StackshimError, unlessMissing } from '../../core/errors.ts';
import { PROGRAM_VERSION } from '../../core/format-version.ts';
import type { BuildKey, ImageDigest, StackName, TaskId, TenantName } from '../../core/ids.ts';
import { type Layout, tasksDir } from '../../core/layout.ts';
import type { IdRange } from '../../core/mount.ts';
import type { RuntimeIdentity } from '../../runtime/runtime.ts';
import type { TaskOrigin } from '../../spec/task-input.ts';
import { ensureDirectorySync, toOwnedName } from '../../sys/files.ts';
import { type Owner, ownIdentity, type ProcessIdentity } from '../../sys/processes.ts';
import type { DiskMechanism } from '../disk/task-disk.ts';
import type { TaskNames, TaskPlaces } from './task-places.ts';

/** The version that this program writes, and the newest one that it reads. */
export const RECORD_VERSION = 4;

/** What a task was given when it was made; absent before that, and in records of version 1. */
export interface TaskHoldings {
  readonly slot?: number;
  /** The mechanism that enforces its disk limit. */
  readonly diskMechanism?: DiskMechanism;
  /** `loop3`: the device of its scratch volume. */
  readonly loopDevice?: string;
  /** The owner's descriptor of the volume, through which others measure it. It may be stale: check the device that it leads to. */
  readonly diskDescriptor?: number;
  /** The project of its quota. */
  readonly diskProject?: number;
}

/** How a task's command ended: by an exit code or by a signal. */
export interface TaskExit {
  /** Null: a signal ended it. */
  readonly exitCode: number | null;
  /** `SIGKILL`; null: it ended by itself. */
  readonly signal: string | null;
  /** ISO 8601, UTC. */
  readonly at: string;
}

/** What is known of a task, and names everything that it may have made. */
export interface TaskRecord extends TaskHoldings {
  readonly id: TaskId;
  readonly owner: Owner;
  readonly stack: StackName;
  readonly revision: number;
  /** The record keeps this image from collection. */
  readonly image: ImageDigest;
  /** The tenant whose cgroup contains the task's own. */
  readonly tenant?: TenantName;
  readonly runtime: RuntimeIdentity;
  /** The number of binds in the task's root filesystem: removal checks as many mount targets. */
  readonly bindCount: number;
  readonly command: readonly string[];
  /** Where its command comes from; absent before there is one, and in records of versions 1 and 2. */
  readonly origin?: TaskOrigin;
  /** Whether it has code, mounted at `/task`; absent: no, or not known. */
  readonly hasCode?: true;
  readonly labels: Readonly<Record<string, string>>;
  /** The image of its code package, which the record keeps from collection; absent: its code is none, and in records up to version 3. */
  readonly codeImage?: ImageDigest;
  /** The cached build below its `/task`; absent without a build step, and before its outcome is known. */
  readonly build?: BuildKey;
  /** The first signal of a stop; absent: TERM. */
  readonly stopSignal?: number;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** Whether the task has ended and its writable layer stays (`--keep`). */
  readonly kept: boolean;
  /** Whether its owner has given up removing it, so that anybody may. */
  readonly disowned: boolean;
  readonly names: TaskNames;
  /** How its command ended; absent before that. */
  readonly exit?: TaskExit;
}

/** The stored form. A reader refuses a record with an unknown field, so a new field needs a new version. */
const toStoredRecord = (record: TaskRecord): string =>
  JSON.stringify({ version: RECORD_VERSION, writtenBy: PROGRAM_VERSION, ...record });

/** The name of a task folder that is being created or removed; never a task id. */
export const unfinishedName = (owner: ProcessIdentity, id: TaskId) =>
  `.new-${owner.pid}-${owner.startTime}-${id}`;

/** The process that was creating or removing a folder with this name; undefined for any other name. */
export function parseUnfinishedName(name: string): ProcessIdentity | undefined {
  const match = /^\.new-(\d{1,10})-(\d{1,16})-/.exec(name);
  return match === null ? undefined : { pid: Number(match[1]), startTime: Number(match[2]) };
}

/** Creates the task's folder with its record in one step. Throws ERR_STACKSHIM_TASK_CONFLICT if a task with this id exists. */
export function createRecord(layout: Layout, places: TaskPlaces, record: TaskRecord): void {
  const tasks = tasksDir(layout);
  const unfinished = `${tasks}/${unfinishedName(record.owner, record.id)}`;
  // The container's root must reach its root filesystem below this folder, so others may pass through it, but not list it.
  ensureDirectorySync(tasks, 0o711);
  mkdirSync(unfinished, { mode: 0o700 });
  try {
    writeFileSync(`${unfinished}/record.json`, toStoredRecord(record), { mode: 0o600 });
    renameSync(unfinished, places.taskDir);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    const code = errnoCodeOf(error);
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    const message = `create task ${record.id}: a task with this id exists`;
    const details = { id: record.id };
    throw new StackshimError('ERR_STACKSHIM_TASK_CONFLICT', message, { details, cause: error });
  }
}

/**
 * Lets the root of the task's user namespace pass through the task's folder, which only root can access until then. Access is granted
 * through the folder's group: no process outside of the slot has that group.
 */
export function admitToTaskDir({ taskDir }: TaskPlaces, ids: IdRange): void {
  chownSync(taskDir, 0, ids.base);
  chmodSync(taskDir, 0o710);
}

/** Restricts a task's folder to root again, once its container exists. */
export function closeTaskDir({ taskDir }: TaskPlaces): void {
  chmodSync(taskDir, 0o700);
}

/**
 * Renames a task's folder in one step, so that nobody sees a half-removed task. Returns the new path, which the caller removes; undefined if
 * there is no folder. If the caller dies first, `reapTasks` removes it.
 */
export function retireTaskDir(places: TaskPlaces): string | undefined {
  const retired = `${dirname(places.taskDir)}/${unfinishedName(ownIdentity(), places.id)}`;
  return unlessMissing(() => {
    renameSync(places.taskDir, retired);
    return retired;
  });
}

/** Removes a record that nothing was made for. */
export function dropRecord(places: TaskPlaces): void {
  const retired = retireTaskDir(places);
  if (retired !== undefined) rmSync(retired, { recursive: true, force: true });
}

/**
 * Replaces a task's record in one step, through a temporary file of the caller's. Only for the living owner of the task and for the holder
 * of the folder's lock (`claimRecord`): two concurrent writers would undo each other's change.
 *
 * @param exit The exit that the change adds. The name of the temporary file tells it, because the kernel reports names to processes that
 * watch the folder (`live/watch-events.ts`), and the task may be gone before they can read its record.
 */
export function replaceRecord(
  { recordFile }: Pick<TaskPlaces, 'recordFile'>,
  record: TaskRecord,
  exit?: TaskExit,
): void {
  const told = exit === undefined ? '' : `.exit-${exit.signal ?? exit.exitCode}`;
  const next = `${recordFile}${told}.${toOwnedName()}.next`;
  writeFileSync(next, toStoredRecord(record), { mode: 0o600 });
  renameSync(next, recordFile);
}

/** The record of a task of this process, which adds to it as the task proceeds. */
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

  /** Stores a change. Throws errors of the disk and leaves the record unchanged then. */
  note(change: Partial<TaskRecord>): void {
    const changed = { ...this.#record, ...change };
    replaceRecord(this.#places, changed, change.exit);
    this.#record = changed;
  }

  /** Stores a change; returns false and leaves the record unchanged if it cannot be written. */
  tryNote(change: Partial<TaskRecord>): boolean {
    try {
      this.note(change);
      return true;
    } catch {
      return false;
    }
  }
}

/**
 * The time by which a running task must end, in a file next to its record. Other processes enforce it while the task's owner cannot, and
 * change it; the owner follows. Times are on the clock of `monotonicMs`.
 */
export interface TimeLimit {
  readonly endsAtMs: number;
  /** Time between the stop signal and KILL. */
  readonly graceMs: number;
  /** When the command began. Absent in files of version 1. */
  readonly begunAtMs?: number;
  /** The deadline of the task's caller, which no change can put off. Absent: none. */
  readonly deadlineMs?: number;
  /** New limits that the owner enforces, or a part of them. Absent: not changed. */
  readonly timeoutMs?: number;
  readonly memoryBytes?: number;
  readonly cpus?: number;
}

export const TIME_LIMIT_VERSION = 2;

/** The stored form; times are rounded up to milliseconds. */
export function toStoredTimeLimit({ endsAtMs, begunAtMs, deadlineMs, ...rest }: TimeLimit): string {
  return JSON.stringify({
    version: TIME_LIMIT_VERSION,
    endsAtMs: Math.ceil(endsAtMs),
    ...rest,
    begunAtMs: begunAtMs && Math.ceil(begunAtMs),
    deadlineMs: deadlineMs && Math.ceil(deadlineMs),
  });
}

/** True for the first caller, which then sends the stop signal. False for later callers, and if the task is gone. */
export function claimOverdue({ overdueFile }: Pick<TaskPlaces, 'overdueFile'>): boolean {
  const fd = unlessMissing(() => openSync(overdueFile, 'wx', 0o600), ['EEXIST', 'ENOENT']);
  if (fd !== undefined) closeSync(fd);
  return fd !== undefined;
}

/** Whether a process has stopped the task because its time was over. */
export const isOverdue = ({ overdueFile }: Pick<TaskPlaces, 'overdueFile'>): boolean =>
  existsSync(overdueFile);
