/** Reads a small file whole, whatever lies under its name: neither a FIFO, nor a device, nor a file without end can hold the reader up. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { Fd } from './system.ts';

export interface BoundedReadOptions {
  readonly maxBytes: number;
  /** Whether a link as the path's last name is followed. Default: it is refused, with ELOOP. */
  readonly followLink?: boolean;
}

/**
 * The text of a regular file of at most `maxBytes`. Blocks the thread for as long as the disk takes. Throws what open(2) says, and an
 * `Error` for anything but a regular file, and for a larger one.
 */
export function readBoundedFile(path: string, options: BoundedReadOptions): string {
  const link = options.followLink === true ? 0 : constants.O_NOFOLLOW;
  // O_NONBLOCK: opening a FIFO without a writer would wait for one. O_NOCTTY: a terminal must not become ours.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | link);
  try {
    return readBoundedFd(fd, options.maxBytes);
  } finally {
    closeSync(fd);
  }
}

/** The same of an open file, from where it stands. */
export function readBoundedFd(fd: Fd, maxBytes: number): string {
  const { size, isFile } = statOf(fd);
  if (!isFile) throw new Error('not a regular file');
  if (size > maxBytes) throw toTooLarge(maxBytes);
  // One more than it should have: a file of /proc has no size, and one that grows has another by now.
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

function statOf(fd: Fd): { readonly size: number; readonly isFile: boolean } {
  const stats = fstatSync(fd);
  return { size: stats.size, isFile: stats.isFile() };
}

const toTooLarge = (maxBytes: number) => new Error(`larger than ${maxBytes} bytes`);
