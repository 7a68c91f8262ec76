/** Acts on several tasks, for commands that take ids. Goes on after a failure, which is reported. */
import { toStackshimError } from '../core/errors.ts';
import { parseTaskId, type TaskId } from '../core/ids.ts';
import { openDoor } from '../door/open-stackshim.ts';
import type { Stackshim } from '../door/stackshim.ts';
import type { Removal } from '../task/ending/remove-task.ts';
import { requireRoot } from '../task/installation.ts';
import { statusOfError } from './exit-status.ts';
import { print } from './print/print.ts';
import { reportError, reportLeftovers } from './print/printable.ts';

export interface EachId<T> {
  /** `pause task`: the beginning of messages. */
  readonly operation: string;
  act(stackshim: Stackshim, id: TaskId): Promise<T>;
  /** Called in the order of the ids. Resolves to the exit status for this id. */
  print(id: TaskId, done: T): Promise<number>;
}

/** Acts on all named tasks at once, once each; on none if an id is invalid. Resolves to the exit status of the first id given that failed, or 0. */
export async function forEachId<T>(
  given: readonly string[],
  { operation, act, print: printDone }: EachId<T>,
): Promise<number> {
  const ids = [...new Set(given.map(parseTaskId))];
  requireRoot(`${operation}s`);
  const stackshim = openDoor();
  const acts = ids.map((id) => ({ id, done: act(stackshim, id) }));
  // Each is awaited below, perhaps long after it failed.
  for (const { done } of acts) done.catch(() => undefined);
  const statuses: number[] = [];
  for (const { id, done } of acts) {
    try {
      statuses.push(await printDone(id, await done));
    } catch (thrown) {
      const error = toStackshimError(thrown, 'ERR_STACKSHIM_SYSTEM', `${operation} ${id}`);
      reportError(error.toJSON());
      statuses.push(statusOfError(error));
    }
  }
  return statuses.find((status) => status !== 0) ?? 0;
}

/** Prints the id of a task on which the command acted. */
export async function printId(id: TaskId): Promise<number> {
  await print(`${id}\n`);
  return 0;
}

/** Prints the id of a removed task, or reports the task's leftovers. */
export async function printRemoval(id: TaskId, removal: Removal): Promise<number> {
  if (removal.removed) return await printId(id);
  reportLeftovers({ id, ...removal });
  return 1;
}
