/** Files with secrets: keys, passwords. They are root's (or this user's) alone, as ssh has it. */
import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';
import { messageOf, StackshimError } from '../core/errors.ts';
import { readBoundedFd } from './files.ts';
import type { Fd } from './system.ts';
import { isOpenToOthers, isOurs } from './trusted-path.ts';

export interface PrivateFileOptions {
  /** For the message: `key`. */
  readonly what: string;
  /** The option that names it, for `details`. */
  readonly field: string;
  readonly maxBytes: number;
}

/**
 * Reads a file that nobody else can read, write or own. What was checked is what is read.
 * Throws ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_SPEC_INVALID with what to do about its mode.
 */
export function readPrivateFile(path: string, options: PrivateFileOptions): string {
  const { what, field, maxBytes } = options;
  const operation = `read ${what} ${path}`;
  const details = { field, path };
  let fd: Fd | undefined;
  try {
    // Non-blocking: a FIFO in its place must not hang the command.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const fault = faultOf(fstatSync(fd));
    if (fault === undefined) return readBoundedFd(fd, maxBytes);
    throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `${operation}: ${fault}`, {
      hint: `replace the file if others may have read it, then run chown root ${path} && chmod 600 ${path}`,
      details,
    });
  } catch (error) {
    if (error instanceof StackshimError) throw error;
    throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `${operation}: ${messageOf(error)}`, {
      details,
      cause: error,
    });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function faultOf(stats: Stats): string | undefined {
  // readBoundedFd() refuses it.
  if (!stats.isFile()) return undefined;
  if (!isOurs(stats)) return `it belongs to another user (${stats.uid})`;
  if (!isOpenToOthers(stats)) return undefined;
  return `others may read or write it (mode ${(stats.mode & 0o777).toString(8).padStart(3, '0')})`;
}
