/** The record: one file, written before a task's first effect, that names everything the task may create. */
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
import { errnoCodeOf, StackshimError, unlessFailed, unlessMissing } from '../../core/errors.ts';
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

/** The version that this program writes, and the newest that it reads. */
export const RECORD_VERSION = 4;

/** The resources that a task acquired; each is absent until then, and in records of version 1. */
export interface TaskHoldings {
  readonly slot?: number;
  /** The mechanism that enforces its disk limit. */
  readonly diskMechanism?: DiskMechanism;
  /** The loop device of its scratch volume: `loop3`. */
  readonly loopDevice?: string;
  /** The owner's descriptor of the volume, which other processes use to measure it. It may be stale: check which device it leads to. */
  readonly diskDescriptor?: number;
  /** The project id of its quota. */
  readonly diskProject?: number;
}

/** How a task's command ended: by an exit code or by a signal. */
export interface TaskExit {
  /** Null if a signal ended the command. */
  readonly exitCode: number | null;
  /** `SIGKILL`; null if the command ended by itself. */
  readonly signal: string | null;
  /** ISO 8601, UTC. */
  readonly at: string;
}

/** Everything that other processes know of a task, with the names of everything it may have created. */
export interface TaskRecord extends TaskHoldings {
  readonly id: TaskId;
  readonly owner: Owner;
  readonly stack: StackName;
  readonly revision: number;
  /** The record protects this image from collection. */
  readonly image: ImageDigest;
  /** The tenant whose cgroup contains the task's own. */
  readonly tenant?: TenantName;
  readonly runtime: RuntimeIdentity;
  /** The number of binds in the root filesystem; removal checks this many mount targets. */
  readonly bindCount: number;
  readonly command: readonly string[];
  /** Who gave the command; absent while there is none, and in records of versions 1 and 2. */
  readonly origin?: TaskOrigin;
  /** Whether the task has code, mounted at `/task`; absent: no, or unknown. */
  readonly hasCode?: true;
  readonly labels: Readonly<Record<string, string>>;
  /** The image of the task's code package, which the record protects from collection; absent without a package, and up to version 3. */
  readonly codeImage?: ImageDigest;
  /** The cached build below the task's `/task`; absent without a build step, and before its outcome is known. */
  readonly build?: BuildKey;
  /** The first signal of a stop; absent: TERM. */
  readonly stopSignal?: number;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** Whether the task has ended and its writable layer stays (`--keep`). */
  readonly kept: boolean;
  /** Whether the owner gave up removing the task, so that anybody may remove it. */
  readonly disowned: boolean;
  readonly names: TaskNames;
  /** How the command ended; absent until then. */
  readonly exit?: TaskExit;
}

/** The stored form. Readers refuse unknown fields, so a new field needs a new version. */
const toStoredRecord = (record: TaskRecord): string =>
  JSON.stringify({ version: RECORD_VERSION, writtenBy: PROGRAM_VERSION, ...record });

/** The name of a task folder while it is created or removed; never a task id. */
export const unfinishedName = (owner: ProcessIdentity, id: TaskId) =>
  `.new-${owner.pid}-${owner.startTime}-${id}`;

/** The process that is creating or removing a folder with this name; undefined for any other name. */
export function parseUnfinishedName(name: string): ProcessIdentity | undefined {
  const match = /^\.new-(\d{1,10})-(\d{1,16})-/.exec(name);
  return match === null ? undefined : { pid: Number(match[1]), startTime: Number(match[2]) };
}

/** Creates the task's folder with its record atomically. Throws ERR_STACKSHIM_TASK_CONFLICT if a task with this id exists. */
export function createRecord(layout: Layout, places: TaskPlaces, record: TaskRecord): void {
  const tasks = tasksDir(layout);
  const unfinished = `${tasks}/${unfinishedName(record.owner, record.id)}`;
  // The container's root must reach its root filesystem below this folder, so others may pass through the folder but not list it.
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
 * Lets the root of the task's user namespace pass through the task's folder, which until then only
 * root can access. Grants access through the folder's group, which no process outside the slot has.
 */
export function admitToTaskDir({ taskDir }: TaskPlaces, ids: IdRange): void {
  chownSync(taskDir, 0, ids.base);
  chmodSync(taskDir, 0o710);
}

/** Restricts a task's folder to root again, once the container exists. */
export function closeTaskDir({ taskDir }: TaskPlaces): void {
  chmodSync(taskDir, 0o700);
}

/**
 * Renames a task's folder atomically, so that nobody sees a half-removed task. Returns the new path, which
 * the caller removes; undefined if there is no folder. If the caller dies first, `reapTasks` removes it.
 */
export function retireTaskDir(places: TaskPlaces): string | undefined {
  const retired = `${dirname(places.taskDir)}/${unfinishedName(ownIdentity(), places.id)}`;
  return unlessMissing(() => {
    renameSync(places.taskDir, retired);
    return retired;
  });
}

/** Removes the record of a task of which nothing else exists. */
export function dropRecord(places: TaskPlaces): void {
  const retired = retireTaskDir(places);
  if (retired !== undefined) rmSync(retired, { recursive: true, force: true });
}

/**
 * Replaces a task's record atomically, through a temporary file of the caller's own. Only the task's living owner and
 * the holder of the folder's lock (`claimRecord`) may call it: two concurrent writers would undo each other's change.
 *
 * @param exit The exit that the change adds. The temporary file's name contains it: the kernel reports names to
 * processes that watch the folder (`live/watch-events.ts`), and the task may be gone before they can read its record.
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

/** The record of a task that this process owns, and adds to as the task proceeds. */
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

  /** Stores a change. After an error of the disk, which it throws, the record is unchanged. */
  note(change: Partial<TaskRecord>): void {
    const changed = { ...this.#record, ...change };
    replaceRecord(this.#places, changed, change.exit);
    this.#record = changed;
  }

  /** Stores a change; returns false if it cannot be written, and leaves the record unchanged. */
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
 * The time by which a running task must end, in a file next to its record. Other processes enforce it while
 * the owner cannot. They may also change it, and the owner follows. Times are on the clock of `monotonicMs`.
 */
export interface TimeLimit {
  readonly endsAtMs: number;
  /** Time between the stop signal and KILL. */
  readonly graceMs: number;
  /** When the command began; absent in files of version 1. */
  readonly begunAtMs?: number;
  /** The caller's deadline, which no change can extend; absent: none. */
  readonly deadlineMs?: number;
  /** Changed limits that the owner enforces, wholly or in part; absent: unchanged. */
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

/** Returns true to the first caller, which then sends the stop signal; false to later callers, or if the task is gone. */
export function claimOverdue({ overdueFile }: Pick<TaskPlaces, 'overdueFile'>): boolean {
  const fd = unlessFailed(() => openSync(overdueFile, 'wx', 0o600), ['EEXIST', 'ENOENT']);
  if (fd !== undefined) closeSync(fd);
  return fd !== undefined;
}

/** Whether a process has stopped the task because its time was over. */
export const isOverdue = ({ overdueFile }: Pick<TaskPlaces, 'overdueFile'>): boolean =>
  existsSync(overdueFile);
