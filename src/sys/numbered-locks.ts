/**
 * Numbers that have one holder at a time, one lock file each. The holder has locked the file, and its text names the holder: the lock of a
 * process that died is free, but its number may still be in use.
 */
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { Fd, System } from './system.ts';

export interface HeldNumber {
  readonly number: number;
  /** The text that the last holder left when it died or closed the number; empty when it released the number. */
  readonly previous: string;
  /** Gives the number back. A second call does nothing. */
  release(): void;
  /** Instead of `release`, while something of the holder is left: closes only the descriptors of this process. */
  close(): void;
}

export interface NumberRequest {
  /** Exists, and nobody but us may write to it. */
  readonly folder: string;
  /** Numbers are 0 to `count` - 1. */
  readonly count: number;
  /** Who holds it: the file's text. */
  readonly holder: string;
  /** Whether a number whose lock is free still belongs to the holder that its text names. */
  readonly isTaken: (holder: string) => boolean;
}

/** How many of the lowest numbers that this process does not hold are tried in turn, so that low numbers are used again. */
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
 * Claims a free number, a low one where that is quickly found; undefined when none is free. Claimers neither wait nor form a
 * queue: however many numbers are held, a claim takes some dozens of tries, unless hardly any number is free.
 */
export function claimNumber(system: System, request: NumberRequest): HeldNumber | undefined {
  const held = heldHere.get(request.folder) ?? new Set();
  for (const number of candidates(request.count, held)) {
    const claimed = claimThisNumber(system, number, request);
    if (claimed !== undefined) return claimed;
  }
  return undefined;
}

/** Claims this number and no other; undefined when it is not free. */
export function claimThisNumber(
  system: System,
  number: number,
  { folder, holder, isTaken }: Omit<NumberRequest, 'count'>,
): HeldNumber | undefined {
  const lock = tryLock(system, `${folder}/${number}`, isTaken);
  if (lock === undefined) return undefined;
  try {
    writeHolder(lock.fd, holder);
  } catch (error) {
    closeSync(lock.fd);
    throw error;
  }
  const held = heldHere.get(folder) ?? new Set();
  held.add(number);
  heldHere.set(folder, held);
  return { number, previous: lock.previous, ...endings(folder, number, lock.fd) };
}

/** Whether somebody holds the number of this file, be that process alive or dead. */
export function isHeld(system: System, file: string, isTaken: NumberRequest['isTaken']): boolean {
  const lock = tryLock(system, file, isTaken);
  if (lock === undefined) return true;
  closeSync(lock.fd);
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

interface NumberLock {
  readonly fd: Fd;
  readonly previous: string;
}

function tryLock(
  system: System,
  file: string,
  isTaken: NumberRequest['isTaken'],
): NumberLock | undefined {
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    if (system.lockFile(fd, { wait: false })) {
      const previous = readFileSync(fd, 'utf8');
      if (!isTaken(previous)) return { fd, previous };
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return undefined;
}

function writeHolder(fd: Fd, holder: string): void {
  ftruncateSync(fd, 0);
  writeSync(fd, holder, 0);
}

function endings(folder: string, number: number, lock: Fd): Pick<HeldNumber, 'release' | 'close'> {
  let isOurs = true;
  const close = () => {
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
      // The number becomes free anyway once the holder that its file names is gone.
    }
    close();
  };
  return { release, close };
}
