/** Reads secrets such as keys and passwords from files that, as with ssh, only root (or this user) may access. */
import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';
import { messageOf, StackshimError } from '../core/errors.ts';
import { readBoundedFd } from './files.ts';
import type { Fd } from './system.ts';
import { isOpenToOthers, isOurs } from './trusted-path.ts';

export interface PrivateFileOptions {
  /** The kind of file, for the message: `key`. */
  readonly what: string;
  /** The option that names the file, for `details`. */
  readonly field: string;
  readonly maxBytes: number;
}

/**
 * Reads a file that no other user can read, write or own. Checks the open file, which is the one that is read. Throws
 * ERR_STACKSHIM_INPUT_NOT_FOUND, and ERR_STACKSHIM_SPEC_INVALID with a hint for a wrong mode or owner.
 */
export function readPrivateFile(path: string, options: PrivateFileOptions): string {
  const { what, field, maxBytes } = options;
  const operation = `read ${what} ${path}`;
  const details = { field, path };
  let fd: Fd | undefined;
  try {
    // O_NONBLOCK: a FIFO at this path must not hang the command.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const fault = faultOf(fstatSync(fd));
    if (fault === undefined) return readBoundedFd(fd, maxBytes);
    throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `${operation}: ${fault}`, {
      hint: `replace the file if others may have read it, then run chown root ${path} && chmod 600 ${path}`,
      details,
    });
  } catch (error) {
    if (error instanceof StackshimError) throw error;
    const message = `${operation}: ${messageOf(error)}`;
    throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', message, { details, cause: error });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function faultOf(stats: Stats): string | undefined {
  // `readBoundedFd` refuses other kinds.
  if (!stats.isFile()) return undefined;
  if (!isOurs(stats)) return `it belongs to another user (${stats.uid})`;
  if (!isOpenToOthers(stats)) return undefined;
  return `others may read or write it (mode ${(stats.mode & 0o777).toString(8).padStart(3, '0')})`;
}
