/**
 * Numbers that tasks hold, one lock file each. The holder has the file locked, and its text names the task for as long as that may
 * have something running: the lock of a shim that died is free, its number is not before the task is removed.
 */
import {
  closeSync,
  constants,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { isTaskId, type TaskId } from '../../core/ids.ts';
import { taskDir } from '../../core/layout.ts';
import { bootId } from '../../sys/processes.ts';
import type { Fd, System } from '../../sys/system.ts';

/** Whom a number's file names. */
interface NumberHolder {
  readonly bootId: string;
  readonly run: string;
  readonly task: TaskId;
}

export interface HeldNumber {
  readonly number: number;
  /** Gives it back. A second call does nothing. */
  release(): void;
  /** In place of `release`, while something of the task is left: gives up only what this process has open. It is free once that is removed. */
  abandon(): void;
}

export interface NumberRequest {
  /** Exists, and nobody but us may write to it. */
  readonly folder: string;
  /** Numbers are 0 to `count` - 1. */
  readonly count: number;
  readonly run: string;
  readonly task: TaskId;
}

/** So many of the lowest that this process does not hold are tried in turn: low numbers are used again and again. */
const TRIED_IN_TURN = 16;
/**
 * Of each larger range so many are tried at random before the next one, twice as large: with 1,000 held a claim takes some fifty tries,
 * and numbers stay low (those of low slots come with a namespace that is pinned already).
 */
const TRIED_AT_RANDOM = 6;
/** Of all numbers, before each is tried in turn. */
const TRIED_OF_ALL = 48;
const GROWTH = 2;

/** Numbers of this process, by folder: probing their locks would only waste system calls. */
const heldHere = new Map<string, Set<number>>();

/**
 * Claims a free number, a low one where that is quickly found; undefined when none is free. Nobody waits and nobody is told in what
 * order to come: however many are held, a claim takes some dozens of tries, unless hardly any is free.
 */
export function claimNumber(system: System, request: NumberRequest): HeldNumber | undefined {
  const { folder, count } = request;
  const held = heldHere.get(folder) ?? new Set();
  for (const number of candidates(count, held)) {
    const lock = tryLock(system, `${folder}/${number}`);
    if (lock === undefined) continue;
    try {
      writeHolder(lock, { bootId: bootId(), run: request.run, task: request.task });
    } catch (error) {
      closeSync(lock);
      throw error;
    }
    held.add(number);
    heldHere.set(folder, held);
    return { number, ...endings(folder, number, lock) };
  }
  return undefined;
}

/** Whether a task holds the number of this file, be its owner alive or dead. */
export function isHeld(system: System, file: string): boolean {
  const lock = tryLock(system, file);
  if (lock === undefined) return true;
  closeSync(lock);
  return false;
}

/** Every number below `count` that is not among `skipped`, some of them more than once. */
function* candidates(count: number, skipped: ReadonlySet<number>): Generator<number> {
  let next = 0;
  for (let tries = 0; tries < TRIED_IN_TURN && next < count; next += 1) {
    if (skipped.has(next)) continue;
    yield next;
    tries += 1;
  }
  for (let range = next * GROWTH; range < count * GROWTH; range *= GROWTH) {
    const below = Math.min(range, count);
    const most = below < count ? TRIED_AT_RANDOM : TRIED_OF_ALL;
    for (let tries = 0; tries < most; tries += 1) {
      const number = Math.floor(Math.random() * below);
      if (!skipped.has(number)) yield number;
    }
  }
  for (; next < count; next += 1) if (!skipped.has(next)) yield next;
}

function tryLock(system: System, file: string): Fd | undefined {
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    if (system.lockFile(fd, { wait: false }) && !isAbandoned(readHolder(fd))) return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return undefined;
}

/** The lock is free but the task it names was not removed yet: its processes may live on. */
function isAbandoned(holder: NumberHolder | undefined): boolean {
  if (holder === undefined || holder.bootId !== bootId()) return false;
  return existsSync(taskDir(holder, holder.task));
}

function readHolder(fd: Fd): NumberHolder | undefined {
  const [boot, task, run] = readFileSync(fd, 'utf8').split('\n');
  if (boot === undefined || task === undefined || run === undefined) return undefined;
  return isTaskId(task) ? { bootId: boot, task, run } : undefined;
}

function writeHolder(fd: Fd, holder: NumberHolder): void {
  ftruncateSync(fd, 0);
  writeSync(fd, `${holder.bootId}\n${holder.task}\n${holder.run}\n`, 0);
}

function endings(
  folder: string,
  number: number,
  lock: Fd,
): Pick<HeldNumber, 'release' | 'abandon'> {
  let isOurs = true;
  const abandon = () => {
    if (!isOurs) return;
    isOurs = false;
    const held = heldHere.get(folder);
    held?.delete(number);
    if (held?.size === 0) heldHere.delete(folder);
    closeSync(lock);
  };
  const release = () => {
    try {
      if (isOurs) ftruncateSync(lock, 0);
    } catch {
      // It is free all the same once the task that its file names is gone.
    }
    abandon();
  };
  return { release, abandon };
}
