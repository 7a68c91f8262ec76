/** Gives the failures of writing files their codes. */
import type { ErrorCode } from '../core/error-codes.ts';
import { errnoCodeOf, StackshimError, toStackshimError } from '../core/errors.ts';

/** Runs `write`; a full disk becomes ERR_STACKSHIM_DISK_FULL, one that fails _DISK_FAILED, another system error _SYSTEM. */
export async function guardDisk<T>(operation: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    const code = errnoCodeOf(error);
    if (error instanceof StackshimError) throw error;
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      throw toStackshimError(error, 'ERR_STACKSHIM_DISK_FULL', operation);
    }
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', operation);
  }
}

/** As strerror(3) has them in the C locale. */
const complaints = [
  { said: /No space left on device|Disk quota exceeded/, code: 'ERR_STACKSHIM_DISK_FULL' },
  {
    said: /Input\/output error|Read-only file system|Bad message/,
    code: 'ERR_STACKSHIM_DISK_FAILED',
  },
] as const;

/** What a program says on `stderr` that could not write its file for the disk's sake; undefined when that was not why. */
export const codeOfComplaint = (stderr: string): ErrorCode | undefined =>
  complaints.find(({ said }) => said.test(stderr))?.code;

/** The last line of what a program said, for a message: most end with why they gave up. */
export function lastLine(stderr: string): string {
  return stderr.trimEnd().split('\n').at(-1)?.trim() || 'it did not say why';
}
