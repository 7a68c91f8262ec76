/** `stackshim pause` and `unpause`: stop all processes of tasks, and let them run again. */
import { forEachId, printId } from '../for-each-id.ts';

/** Prints the id of each paused task. Resolves to the exit status. */
export const pause = (ids: readonly string[]): Promise<number> =>
  forEachId(ids, {
    operation: 'pause task',
    act: (stackshim, id) => stackshim.pause(id),
    print: printId,
  });

/** Prints the id of each task that runs again. Resolves to the exit status. */
export const unpause = (ids: readonly string[]): Promise<number> =>
  forEachId(ids, {
    operation: 'unpause task',
    act: (stackshim, id) => stackshim.unpause(id),
    print: printId,
  });
