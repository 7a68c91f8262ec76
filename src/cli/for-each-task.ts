/** Does the same to several tasks, for commands that take ids. */
import { toStackshimError } from '../core/errors.ts';
import { parseTaskId, type TaskId } from '../core/ids.ts';
import { openDoor, requireRoot } from '../door/open-stackshim.ts';
import type { Stackshim } from '../door/stackshim.ts';
import { statusOfError } from './exit-status.ts';
import { reportError } from './printable.ts';

/**
 * Acts on all named tasks at once, and reports each failure. Resolves to the exit status: that of the first failed task, in the given order,
 * or 0. Touches no task if an id is invalid.
 *
 * @param operation `pause tasks`: the beginning of messages.
 */
export async function forEachTask(
  given: readonly string[],
  operation: string,
  act: (stackshim: Stackshim, id: TaskId) => Promise<void>,
): Promise<number> {
  const ids = [...new Set(given.map(parseTaskId))];
  requireRoot(operation);
  const stackshim = openDoor();
  const statuses = await Promise.all(
    ids.map(async (id) => {
      try {
        await act(stackshim, id);
        return 0;
      } catch (thrown) {
        const error = toStackshimError(thrown, 'ERR_STACKSHIM_SYSTEM', `${operation}: ${id}`);
        reportError(error.toJSON());
        return statusOfError(error);
      }
    }),
  );
  return statuses.find((status) => status !== 0) ?? 0;
}
