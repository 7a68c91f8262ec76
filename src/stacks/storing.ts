/** Gives failures to write under the root folder their codes. */
import { errnoCodeOf, messageOf, StackshimError, toStackshimError } from '../core/errors.ts';

/** Runs `effect`; a full disk becomes ERR_STACKSHIM_DISK_FULL, any other system error ERR_STACKSHIM_SYSTEM. */
export async function storing<T>(operation: string, effect: () => Promise<T>): Promise<T> {
  try {
    return await effect();
  } catch (error) {
    if (isDiskFull(error)) {
      throw new StackshimError('ERR_STACKSHIM_DISK_FULL', `${operation}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', operation);
  }
}

/** Whether a thrown error says that no space (or quota) is left. */
export function isDiskFull(error: unknown): boolean {
  const code = errnoCodeOf(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}
