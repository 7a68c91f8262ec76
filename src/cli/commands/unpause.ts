/** `stackshim unpause`: lets paused tasks run again. */
import { forEachId, printId } from '../for-each-id.ts';

/** Prints the id of each task that runs again. Resolves to the exit status. */
export const unpause = (ids: readonly string[]): Promise<number> =>
  forEachId(ids, {
    operation: 'unpause task',
    act: (stackshim, id) => stackshim.unpause(id),
    print: printId,
  });
