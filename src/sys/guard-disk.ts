/** What failed writes mean: the error codes of a full and of a failing disk, and what a program said of its failure. */
import type { ErrorCode } from '../core/error-codes.ts';
import { errnoCodeOf, toStackshimError } from '../core/errors.ts';

/** Runs `write`. A full disk becomes ERR_STACKSHIM_DISK_FULL, a failing disk _DISK_FAILED, another system error _SYSTEM. */
export async function guardDisk<T>(operation: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    const isFull = ['ENOSPC', 'EDQUOT'].includes(errnoCodeOf(error) ?? '');
    const code = isFull ? 'ERR_STACKSHIM_DISK_FULL' : 'ERR_STACKSHIM_SYSTEM';
    throw toStackshimError(error, code, operation);
  }
}

/** The code if `stderr` says that a disk kept the program from writing (strerror(3), C locale); undefined for other reasons. */
export function codeOfComplaint(stderr: string): ErrorCode | undefined {
  if (/No space left on device|Disk quota exceeded/.test(stderr)) return 'ERR_STACKSHIM_DISK_FULL';
  const isFailing = /Input\/output error|Read-only file system|Bad message/.test(stderr);
  return isFailing ? 'ERR_STACKSHIM_DISK_FAILED' : undefined;
}

/** The last line of a program's output, for a message: most programs end with the reason of their failure. */
export function lastLine(stderr: string): string {
  return stderr.trimEnd().split('\n').at(-1)?.trim() || 'it did not say why';
}
