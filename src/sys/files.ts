/** Files and folders on the task path. Small files are read whole, but only up to a maximum size. Temporary names identify their owner. */
import {
  chmodSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { unlessMissing } from '../core/errors.ts';
import { withFd } from './paths.ts';
import { bootId, isOwnerAlive, ownIdentity, type ProcessIdentity } from './processes.ts';
import type { Fd } from './system.ts';

/** Creates a folder and missing parents; returns whether it was missing, and keeps an existing mode. Synchronous: the pool would cost more. */
export function ensureDirectorySync(path: string, mode: number): boolean {
  const first = mkdirSync(path, { recursive: true, mode });
  if (first !== undefined) for (const made of madeFolders(first, path)) chmodSync(made, mode);
  return first !== undefined;
}

/** The new folders. The umask may have narrowed their mode; then a task's root, which has no rights on the host, could not pass through. */
export function madeFolders(first: string, last: string): readonly string[] {
  const made: string[] = [];
  for (let at = last; at.length >= first.length && at !== dirname(at); at = dirname(at))
    made.push(at);
  return made;
}

/** The nearest existing folder: `path` itself, or the one above it in which it would be created. */
export function nearestExisting(path: string): string {
  let folder = path;
  while (folder !== dirname(folder) && statSync(folder, { throwIfNoEntry: false }) === undefined) {
    folder = dirname(folder);
  }
  return folder;
}

/** Whether anything exists at `path`, even a dangling link. Unlike `existsSync`, throws if the disk fails. */
export const isThere = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/** Bytes that this process can still write to the filesystem of `path`. */
export function freeBytesAt(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

export function sizeOfDiskAt(path: string): number {
  const { blocks, bsize } = statfsSync(path);
  return blocks * bsize;
}

/** 16 random hex digits. */
export function randomName(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex');
}

/** The names in a folder; empty if the folder does not exist. */
export const namesIn = (folder: string): readonly string[] =>
  unlessMissing(() => readdirSync(folder)) ?? [];

/** A unique name, `<pid>-<start time>-<16 random hex digits>`. Other processes can remove files whose owner is dead. */
export function toOwnedName(): string {
  const { pid, startTime } = ownIdentity();
  return `${pid}-${startTime}-${randomName()}`;
}

const OWNED = /(?:^|\.)(\d{1,10})-(\d{1,16})-[0-9a-f]{16}(?:\.|$)/;

/** The owner in a name that has an owned name at its beginning or after a dot; undefined for any other name. */
export function ownerOfName(name: string): ProcessIdentity | undefined {
  const match = OWNED.exec(name);
  return match === null ? undefined : { pid: Number(match[1]), startTime: Number(match[2]) };
}

/** Whether the owner that a name identifies has ended, or ran before the last boot. */
export function isStaleName(name: string): boolean {
  const owner = ownerOfName(name);
  return owner !== undefined && !isOwnerAlive({ ...owner, bootId: bootId() });
}

export interface BoundedReadOptions {
  readonly maxBytes: number;
  /** Follow a link in the last path component. Default: refuse it with ELOOP. */
  readonly followLink?: boolean;
  /** Read pipes, FIFOs and devices, too: only for paths that root itself has named. Default: false. */
  readonly allowPipes?: boolean;
}

/**
 * The text of a file of at most `maxBytes`. Blocks the thread while the disk works; with `allowPipes`, also while the writer does. Throws the
 * error of open(2), and an `Error` if the file is larger or of another kind.
 */
export function readBoundedFile(path: string, options: BoundedReadOptions): string {
  const { maxBytes, followLink = false, allowPipes = false } = options;
  const link = followLink ? 0 : constants.O_NOFOLLOW;
  // Without O_NONBLOCK, opening a FIFO waits for a writer. O_NOCTTY: a terminal must not become the controlling terminal.
  const wait = allowPipes ? 0 : constants.O_NONBLOCK;
  return withFd(openSync(path, constants.O_RDONLY | wait | constants.O_NOCTTY | link), (fd) =>
    allowPipes ? readUpTo(fd, maxBytes) : readBoundedFd(fd, maxBytes),
  );
}

/** The text of an open regular file, from its current offset. Throws like {@link readBoundedFile}. */
export function readBoundedFd(fd: Fd, maxBytes: number): string {
  if (!fstatSync(fd).isFile()) throw new Error('not a regular file');
  return readUpTo(fd, maxBytes);
}

function readUpTo(fd: Fd, maxBytes: number): string {
  const stats = fstatSync(fd);
  const size = stats.isFile() ? stats.size : 0;
  if (size > maxBytes) throw toTooLarge(maxBytes);
  // One byte more than the size: /proc files report no size, and other files may have grown.
  const buffer = Buffer.allocUnsafe(Math.max(size + 1, MIN_BUFFER_BYTES));
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const bytes = readSync(fd, buffer);
    if (bytes === 0) return Buffer.concat(chunks, total).toString('utf8');
    total += bytes;
    if (total > maxBytes) throw toTooLarge(maxBytes);
    chunks.push(Buffer.from(buffer.subarray(0, bytes)));
  }
}

const MIN_BUFFER_BYTES = 4096;

const toTooLarge = (maxBytes: number) => new Error(`larger than ${maxBytes} bytes`);

/** Writes all bytes, synchronously. Throws a system error on failure; some bytes may be written then. */
export function writeNow(fd: Fd, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}
