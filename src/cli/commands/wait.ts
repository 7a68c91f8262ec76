/** `stackshim wait`: waits for the ends of tasks, and prints the exit status of each. */
import { StackshimError } from '../../core/errors.ts';
import type { TaskEnd } from '../../door/wait-for-task.ts';
import { ORPHANED, toTaskConflict } from '../../task/records/task-errors.ts';
import { statusOfExit, statusOfResult } from '../exit-status.ts';
import { forEachId } from '../for-each-id.ts';
import { print } from '../print/print.ts';

/** Prints one status for each task, as `run` would have ended. Resolves to the exit status of `wait` itself. */
export const wait = (ids: readonly string[]): Promise<number> =>
  forEachId(ids, {
    operation: 'wait for task',
    act: (stackshim, id) => stackshim.wait(id),
    async print(_, end) {
      await print(`${toStatus(end)}\n`);
      return 0;
    },
  });

function toStatus({ id, state, result, exit }: TaskEnd): number {
  if (result !== null) return statusOfResult(result, undefined);
  if (state === 'orphaned') throw toTaskConflict('wait for task', id, ORPHANED);
  if (exit !== null) return statusOfExit(exit);
  throw new StackshimError(
    'ERR_STACKSHIM_TASK_RESULT_UNKNOWN',
    state === 'lost'
      ? `wait for task ${id}: its owner died before it knew the result`
      : `wait for task ${id}: it has ended and kept no result`,
    { details: { id, state } },
  );
}
