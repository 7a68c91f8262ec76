/** `stackshim pause`: stops all processes of tasks. */
import { forEachId, printId } from '../for-each-id.ts';

/** Prints the id of each paused task. Resolves to the exit status. */
export const pause = (ids: readonly string[]): Promise<number> =>
  forEachId(ids, {
    operation: 'pause task',
    act: (stackshim, id) => stackshim.pause(id),
    print: printId,
  });
