/** `stackshim unpause`: lets paused tasks run again. */
import { forEachTask } from '../for-each-task.ts';
import { print } from '../print.ts';

/** Prints the id of each task that runs again. Resolves to the exit status. */
export const unpause = (ids: readonly string[]): Promise<number> =>
  forEachTask(ids, 'unpause tasks', async (stackshim, id) => {
    await stackshim.unpause(id);
    await print(`${id}\n`);
  });
