/** Commands that take ids of tasks: an id that fails is reported, and does not keep the command from the others. */
import { toStackshimError } from '../core/errors.ts';
import { parseTaskId, type TaskId } from '../core/ids.ts';
import { statusOfError } from './exit-status.ts';
import { reportError } from './printable.ts';

/**
 * Calls `act` for all ids at once, each once. Resolves to the exit status: that of the first id that failed, in the given order, or 0. Acts
 * on no task if an id is invalid.
 *
 * @param act Resolves to what is printed then, in the order of the ids.
 */
export async function forEachId<T>(
  given: readonly string[],
  { operation, act, print }: EachId<T>,
): Promise<number> {
  const ids = [...new Set(given.map(parseTaskId))];
  const acts = ids.map((id) => ({ id, done: act(id) }));
  // Each is awaited below, perhaps long after it failed.
  for (const { done } of acts) done.catch(() => undefined);
  let status = 0;
  for (const { id, done } of acts) {
    try {
      await print(id, await done);
    } catch (thrown) {
      const error = toStackshimError(thrown, 'ERR_STACKSHIM_SYSTEM', `${operation} ${id}`);
      reportError(error.toJSON());
      if (status === 0) status = statusOfError(error);
    }
  }
  return status;
}

export interface EachId<T> {
  /** `wait for task`: what an error of the system is said to have kept from happening. */
  readonly operation: string;
  act(id: TaskId): Promise<T>;
  print(id: TaskId, done: T): Promise<void>;
}
