/** `stackshim rm`: removes what ended tasks have left: reports and kept tasks. */
import { forEachId, printRemoval } from '../for-each-id.ts';

/** Prints the id of each removed task. Resolves to the exit status. */
export const rm = (
  ids: readonly string[],
  { force = false }: { readonly force?: boolean },
): Promise<number> =>
  forEachId(ids, {
    operation: 'remove task',
    act: (stackshim, id) => stackshim.remove(id, { force }),
    print: printRemoval,
  });
