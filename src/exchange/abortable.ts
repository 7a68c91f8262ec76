/** Gives a cancelled build or import one error, whichever part noticed the abort first. */
import { StackshimError } from '../core/errors.ts';

/** Runs `work`. Once `signal` has aborted, any error becomes ERR_STACKSHIM_BUILD_ABORTED. */
export async function abortable<T>(
  operation: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    signal?.throwIfAborted();
    return await work();
  } catch (error) {
    throw signal?.aborted ? toAborted(operation, error) : error;
  }
}

export const toAborted = (operation: string, cause?: unknown): StackshimError =>
  new StackshimError('ERR_STACKSHIM_BUILD_ABORTED', `${operation}: cancelled by the caller`, {
    cause,
  });
