/** Reads files of running tasks' cgroups many times a second, into one buffer with three system calls per file; and freezes cgroups. */
import { openSync, readSync } from 'node:fs';
import { pause } from '../core/pause.ts';
import { withFd } from '../sys/paths.ts';
import type { FreezeOutcome } from './cgroup-driver.ts';
import { parseCount, unlessGone } from './cgroup-files.ts';

/** The kernel returns each file in one read; the longest is `io.stat` on a host with hundreds of disks. */
const buffer = Buffer.allocUnsafe(65_536);

/** The text of `directory/file`; null if there is no such file. */
export function readCounterFile(directory: string | undefined, file: string): string | null {
  if (directory === undefined) return null;
  const fd = unlessGone(() => openSync(`${directory}/${file}`, 'r'));
  if (fd === undefined) return null;
  return withFd(fd, () => {
    const length = unlessGone(() => readSync(fd, buffer, 0, buffer.length, null));
    return length === undefined ? null : buffer.toString('latin1', 0, length);
  });
}

/** The only number in a file. */
export const readCount = (directory: string | undefined, file: string): number | null =>
  parseCount(readCounterFile(directory, file)?.trimEnd());

/** A limit; Infinity for `max`, and from `noneFrom` on. */
export function readLimit(
  directory: string | undefined,
  file: string,
  noneFrom = Number.POSITIVE_INFINITY,
): number | null {
  const text = readCounterFile(directory, file)?.trimEnd();
  if (text === 'max') return Number.POSITIVE_INFINITY;
  const limit = parseCount(text);
  return limit !== null && limit >= noneFrom ? Number.POSITIVE_INFINITY : limit;
}

/** Memory used, without memory that could be freed. */
export const withoutCache = (used: number | null, cached: number | null): number | null =>
  used === null ? null : Math.max(0, used - (cached ?? 0));

/** The error for a memory limit below the memory that the kernel cannot free. */
export const toBusy = (directory: string): Error =>
  Object.assign(new Error(`limit memory of ${directory}: EBUSY`), { code: 'EBUSY' });

/** A process that waits for a disk freezes once the disk has answered. */
const FROZEN_WITHIN_MS = 5_000;
const POLL_MS = 2;
const LONGEST_PAUSE_MS = 50;

export interface Freezing {
  /** Tells the cgroup to freeze; false if it is gone. Called until frozen: v1 must tell processes that were forked meanwhile again. */
  readonly order: () => boolean;
  readonly isFrozen: () => boolean;
  readonly thaw: () => void;
}

/** Thaws the cgroup if it does not freeze in time. */
export async function freezeGroup({ order, isFrozen, thaw }: Freezing): Promise<FreezeOutcome> {
  const endsAt = performance.now() + FROZEN_WITHIN_MS;
  let isDone = false;
  try {
    for (let pauseMs = POLL_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      if (!order()) return 'gone';
      isDone = isFrozen();
      if (isDone) return 'frozen';
      if (performance.now() > endsAt) return 'stuck';
      await pause(pauseMs);
    }
  } finally {
    if (!isDone) thaw();
  }
}
