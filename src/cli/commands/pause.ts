/** `stackshim pause`: stops all processes of tasks. */
import { forEachTask } from '../for-each-task.ts';
import { print } from '../print.ts';

/** Prints the id of each paused task. Resolves to the exit status. */
export const pause = (ids: readonly string[]): Promise<number> =>
  forEachTask(ids, 'pause tasks', async (stackshim, id) => {
    await stackshim.pause(id);
    await print(`${id}\n`);
  });
