/** Reads a small file completely, but never more than an allowed size. Reads only regular files unless the caller allows others. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { Fd } from './system.ts';

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
  const fd = openSync(path, constants.O_RDONLY | wait | constants.O_NOCTTY | link);
  try {
    return allowPipes ? readUpTo(fd, maxBytes) : readBoundedFd(fd, maxBytes);
  } finally {
    closeSync(fd);
  }
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
