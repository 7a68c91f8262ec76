/** Reads the files of running tasks' cgroups, many times a second: into one buffer, with three system calls for each file. */
import { closeSync, openSync, readSync } from 'node:fs';
import { parseCount, unlessGone } from './cgroup-files.ts';

/** The kernel gives such a file in one read; `io.stat` of a host with hundreds of disks is the longest. */
const buffer = Buffer.allocUnsafe(65_536);

/** The text of `directory/file`; null when there is no such file. */
export function readCounterFile(directory: string | undefined, file: string): string | null {
  if (directory === undefined) return null;
  const fd = unlessGone(() => openSync(`${directory}/${file}`, 'r'));
  if (fd === undefined) return null;
  try {
    const length = unlessGone(() => readSync(fd, buffer, 0, buffer.length, null));
    return length === undefined ? null : buffer.toString('latin1', 0, length);
  } finally {
    closeSync(fd);
  }
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

/** What is used without what could be freed. */
export const withoutCache = (used: number | null, cached: number | null): number | null =>
  used === null ? null : Math.max(0, used - (cached ?? 0));

/** The error of a limit of memory that is below what the kernel cannot free. */
export const toBusy = (directory: string): Error =>
  Object.assign(new Error(`limit memory of ${directory}: EBUSY`), { code: 'EBUSY' });
