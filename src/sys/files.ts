/** Files and folders on the path of a task. Small files are read whole, but never beyond an allowed size; temporary names name their owners. */
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

/**
 * Makes a folder and its parents if they are missing; an existing folder keeps its mode. Returns whether it was missing. Synchronous, because
 * the thread pool costs a task more than the call.
 */
export function ensureDirectorySync(path: string, mode: number): boolean {
  const first = mkdirSync(path, { recursive: true, mode });
  if (first !== undefined) for (const made of madeFolders(first, path)) chmodSync(made, mode);
  return first !== undefined;
}

/** The new folders, whose mode the umask may have narrowed: the root of a task has no rights on the host and could not pass through them. */
export function madeFolders(first: string, last: string): readonly string[] {
  const made: string[] = [];
  for (let at = last; at.length >= first.length && at !== dirname(at); at = dirname(at))
    made.push(at);
  return made;
}

/** The nearest existing folder: `path` itself, or the folder above it in which it would be made. */
export function nearestExisting(path: string): string {
  let folder = path;
  while (folder !== dirname(folder) && statSync(folder, { throwIfNoEntry: false }) === undefined) {
    folder = dirname(folder);
  }
  return folder;
}

/** Whether there is anything at `path`, if only a link. Unlike `existsSync`, this throws if the disk fails. */
export const isThere = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/** Bytes that this process may still write on the filesystem of `path`. */
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

/** `<pid>-<start time>-<16 random hex digits>`, different each time. Other processes can remove the files of dead owners. */
export function toOwnedName(): string {
  const { pid, startTime } = ownIdentity();
  return `${pid}-${startTime}-${randomName()}`;
}

const OWNED = /(?:^|\.)(\d{1,10})-(\d{1,16})-[0-9a-f]{16}(?:\.|$)/;

/** The owner in a name that contains an owned name at its beginning or after a dot; undefined for any other name. */
export function ownerOfName(name: string): ProcessIdentity | undefined {
  const match = OWNED.exec(name);
  return match === null ? undefined : { pid: Number(match[1]), startTime: Number(match[2]) };
}

/** Whether a name has an owner that has ended or that ran before the last boot. */
export function isStaleName(name: string): boolean {
  const owner = ownerOfName(name);
  return owner !== undefined && !isOwnerAlive({ ...owner, bootId: bootId() });
}

export interface BoundedReadOptions {
  readonly maxBytes: number;
  /** Whether to follow a link in the last component of the path. Default: a link is refused with ELOOP. */
  readonly followLink?: boolean;
  /** Whether pipes, FIFOs and devices are read, too: only for paths that root itself has named. Default: false. */
  readonly allowPipes?: boolean;
}

/**
 * The text of a file of at most `maxBytes`. Blocks the thread as long as the disk takes; with `allowPipes`, as long as the writer takes.
 * Throws the error of open(2), and an `Error` for a file that is larger or of another kind.
 */
export function readBoundedFile(path: string, options: BoundedReadOptions): string {
  const { maxBytes, followLink = false, allowPipes = false } = options;
  const link = followLink ? 0 : constants.O_NOFOLLOW;
  // Without O_NONBLOCK, opening a FIFO waits for a writer. O_NOCTTY: a terminal must not become this process's controlling terminal.
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
  // The size plus one byte: a file of /proc reports no size, and another file may have grown meanwhile.
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

/** Writes all bytes, synchronously. Throws a system error if it cannot; a part may be written then. */
export function writeNow(fd: Fd, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}
