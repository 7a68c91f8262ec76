/** `stackshim kill`: ends tasks and waits until they are removed. */
import { toStackshimError } from '../../core/errors.ts';
import { parseTaskId, type TaskId } from '../../core/ids.ts';
import { openDoor, requireRoot } from '../../door/open-stackshim.ts';
import type { Stackshim } from '../../door/stackshim.ts';
import { parseDuration } from '../../spec/quantities.ts';
import { SPEC_BOUNDS } from '../../spec/spec-bounds.ts';
import { statusOfError } from '../exit-status.ts';
import { print } from '../print.ts';
import { reportError, reportLeftovers } from '../printable.ts';

export interface KillCommandOptions {
  readonly stopTimeout: string;
}

/**
 * Ends all named tasks at once, and prints the id of each removed task. Resolves to the exit status: that of the first failed task, in the
 * given order, or 0. Touches no task if an id or the timeout is invalid.
 */
export async function kill(given: readonly string[], options: KillCommandOptions): Promise<number> {
  const ids = [...new Set(given.map(parseTaskId))];
  const stopTimeout = parseDuration(options.stopTimeout, 'stopTimeout', {
    min: 0,
    max: SPEC_BOUNDS.stopTimeoutMsMax,
  });
  requireRoot('kill tasks');
  const stackshim = openDoor();
  const statuses = await Promise.all(ids.map((id) => killTask(stackshim, id, stopTimeout)));
  return statuses.find((status) => status !== 0) ?? 0;
}

async function killTask(stackshim: Stackshim, id: TaskId, stopTimeout: number): Promise<number> {
  try {
    const removal = await stackshim.kill(id, { stopTimeout });
    if (removal.removed) {
      await print(`${id}\n`);
      return 0;
    }
    reportLeftovers({ id, ...removal });
    return 1;
  } catch (thrown) {
    const error = toStackshimError(thrown, 'ERR_STACKSHIM_SYSTEM', `kill task ${id}`);
    reportError(error.toJSON());
    return statusOfError(error);
  }
}
