/** Gives the failures of writing files their codes. */
import { errnoCodeOf, StackshimError, toStackshimError } from '../core/errors.ts';

/** Runs `write`; a full disk becomes ERR_STACKSHIM_DISK_FULL, another system error ERR_STACKSHIM_SYSTEM. */
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
