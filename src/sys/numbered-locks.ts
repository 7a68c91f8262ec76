/**
 * Numbers with one holder at a time. Each number has a lock file, which its holder locks and whose text names the holder. If the holder's process
 * dies, the lock is free, but the number may still be in use.
 */
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { Fd, System } from './system.ts';

export interface HeldNumber {
  readonly number: number;
  /** The text that the last holder left when it died or closed the number; empty if it released the number. */
  readonly previous: string;
  /** Gives the number back. A second call does nothing. */
  release(): void;
  /** Closes only this process's descriptors. Call it instead of `release` while something of the holder is left. */
  close(): void;
}

export interface NumberRequest {
  /** An existing folder that only this user may write to. */
  readonly folder: string;
  /** Numbers are 0 to `count` - 1. */
  readonly count: number;
  /** The holder's name, which becomes the file's text. */
  readonly holder: string;
  /** Whether a number whose lock is free still belongs to the holder that its text names. */
  readonly isTaken: (holder: string) => boolean;
}

/** How many of the lowest numbers that this process does not hold to try first, in order, so that low numbers are reused. */
const TRIED_IN_TURN = 16;
/**
 * Random tries in each range before the next range, which is twice as large. With 1,000 numbers held, a claim takes about fifty tries, and
 * numbers stay low (a low slot usually has its pinned namespace already).
 */
const TRIED_AT_RANDOM = 6;
/** Random tries in the full range before trying every number in order. */
const TRIED_OF_ALL = 48;
const GROWTH = 2;

/** Numbers that this process holds, by folder: probing their locks would waste system calls. */
const heldHere = new Map<string, Set<number>>();

/**
 * Claims a free number, a low one if found quickly; undefined if none is free. Claimers neither wait nor queue: a claim takes a few dozen tries,
 * however many numbers are held, unless hardly any is free.
 */
export function claimNumber(system: System, request: NumberRequest): HeldNumber | undefined {
  const held = heldHere.get(request.folder) ?? new Set();
  for (const number of candidates(request.count, held)) {
    const claimed = claimThisNumber(system, number, request);
    if (claimed !== undefined) return claimed;
  }
  return undefined;
}

/** Claims exactly this number; undefined if it is not free. */
export function claimThisNumber(
  system: System,
  number: number,
  { folder, holder, isTaken }: Omit<NumberRequest, 'count'>,
): HeldNumber | undefined {
  const lock = tryLock(system, `${folder}/${number}`, isTaken);
  if (lock === undefined) return undefined;
  try {
    ftruncateSync(lock.fd, 0);
    writeSync(lock.fd, holder, 0);
  } catch (error) {
    closeSync(lock.fd);
    throw error;
  }
  const held = heldHere.get(folder) ?? new Set();
  held.add(number);
  heldHere.set(folder, held);
  return { number, previous: lock.previous, ...endings(folder, number, lock.fd) };
}

/** Whether the file's number is held, by a living process or by a dead holder that `isTaken` still accepts. */
export function isHeld(system: System, file: string, isTaken: NumberRequest['isTaken']): boolean {
  const lock = tryLock(system, file, isTaken);
  if (lock !== undefined) closeSync(lock.fd);
  return lock === undefined;
}

/** Yields every number below `count` that is not in `skipped`, some of them more than once. */
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

/** Undefined if a living process holds the lock, or `isTaken` accepts the holder that the file names. */
function tryLock(system: System, file: string, isTaken: NumberRequest['isTaken']) {
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  let isFree = false;
  try {
    if (!system.lockFile(fd, { wait: false })) return undefined;
    const previous = readFileSync(fd, 'utf8');
    isFree = !isTaken(previous);
    return isFree ? { fd, previous } : undefined;
  } finally {
    if (!isFree) closeSync(fd);
  }
}

function endings(folder: string, number: number, lock: Fd) {
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
      // Ignored: the number becomes free anyway once the holder named in its file is gone.
    }
    close();
  };
  return { release, close };
}
