/** `stackshim kill`: ends tasks and waits until they are removed. */
import { parseDuration } from '../../spec/quantities.ts';
import { SPEC_BOUNDS } from '../../spec/spec-bounds.ts';
import { forEachId, printRemoval } from '../for-each-id.ts';

/** Prints the id of each removed task. Resolves to the exit status. Ends no task if the timeout is invalid. */
export async function kill(
  ids: readonly string[],
  options: { readonly stopTimeout: string },
): Promise<number> {
  const bounds = { min: 0, max: SPEC_BOUNDS.stopTimeoutMsMax };
  const stopTimeout = parseDuration(options.stopTimeout, 'stopTimeout', bounds);
  return await forEachId(ids, {
    operation: 'kill task',
    act: (stackshim, id) => stackshim.kill(id, { stopTimeout }),
    print: printRemoval,
  });
}
