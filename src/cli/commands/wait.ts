/** `stackshim wait`: waits for the ends of tasks, and prints the exit status of each. */
import { StackshimError } from '../../core/errors.ts';
import { openDoor, requireRoot } from '../../door/open-stackshim.ts';
import type { TaskEnd } from '../../door/wait-for-task.ts';
import { statusOfExit, statusOfResult } from '../exit-status.ts';
import { forEachId } from '../for-each-id.ts';
import { print } from '../print.ts';

/** Prints one status for each task, as `run` would have ended. Resolves to the command's own exit status. */
export async function wait(given: readonly string[]): Promise<number> {
  requireRoot('wait for tasks');
  const stackshim = openDoor();
  return await forEachId(given, {
    operation: 'wait for task',
    act: (id) => stackshim.wait(id),
    print: (_, end) => print(`${toStatus(end)}\n`),
  });
}

function toStatus({ id, state, result, exit }: TaskEnd): number {
  if (result !== null) return statusOfResult(result, undefined);
  if (state === 'orphaned') {
    throw new StackshimError(
      'ERR_STACKSHIM_TASK_CONFLICT',
      `wait for task ${id}: its owner has died, and nobody waits for its end`,
      { hint: 'stackshim reap ends and removes it', details: { id, exit } },
    );
  }
  if (exit !== null) return statusOfExit(exit);
  throw new StackshimError(
    'ERR_STACKSHIM_TASK_RESULT_UNKNOWN',
    state === 'lost'
      ? `wait for task ${id}: its owner died before it knew the result`
      : `wait for task ${id}: it has ended and kept no result`,
    { details: { id, state } },
  );
}
