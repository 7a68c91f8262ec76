/** `stackshim kill`: ends tasks and waits until they are removed. */
import { parseDuration } from '../../spec/quantities.ts';
import { SPEC_BOUNDS } from '../../spec/spec-bounds.ts';
import { forEachId, printRemoval } from '../for-each-id.ts';

interface KillCommandOptions {
  readonly stopTimeout: string;
}

/** Prints the id of each removed task. Resolves to the exit status. Ends no task if the timeout is invalid. */
export async function kill(ids: readonly string[], options: KillCommandOptions): Promise<number> {
  const stopTimeout = parseDuration(options.stopTimeout, 'stopTimeout', {
    min: 0,
    max: SPEC_BOUNDS.stopTimeoutMsMax,
  });
  return await forEachId(ids, {
    operation: 'kill task',
    act: (stackshim, id) => stackshim.kill(id, { stopTimeout }),
    print: printRemoval,
  });
}
