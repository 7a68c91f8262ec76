/** Maps failures of writing files to error codes. */
import type { ErrorCode } from '../core/error-codes.ts';
import { errnoCodeOf, StackshimError, toStackshimError } from '../core/errors.ts';

/** Runs `write`; a full disk becomes ERR_STACKSHIM_DISK_FULL, a failing disk _DISK_FAILED, another system error _SYSTEM. */
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

/** The texts of strerror(3) in the C locale. */
const complaints = [
  { said: /No space left on device|Disk quota exceeded/, code: 'ERR_STACKSHIM_DISK_FULL' },
  {
    said: /Input\/output error|Read-only file system|Bad message/,
    code: 'ERR_STACKSHIM_DISK_FAILED',
  },
] as const;

/** The code for a program whose `stderr` says that a disk kept it from writing its file; undefined for other reasons. */
export const codeOfComplaint = (stderr: string): ErrorCode | undefined =>
  complaints.find(({ said }) => said.test(stderr))?.code;

/** The last line of a program's output, for a message: most programs end with the reason why they gave up. */
export function lastLine(stderr: string): string {
  return stderr.trimEnd().split('\n').at(-1)?.trim() || 'it did not say why';
}
