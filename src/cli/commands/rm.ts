/** `stackshim rm`: removes what ended tasks have left. */
import { openDoor, requireRoot } from '../../door/open-stackshim.ts';
import type { Removal } from '../../task/ending/remove-task.ts';
import { forEachId } from '../for-each-id.ts';
import { print } from '../print.ts';
import { reportLeftovers } from '../printable.ts';

export interface RmCommandOptions {
  readonly force?: boolean;
}

/** Prints the id of each removed task. Resolves to the exit status. */
export async function rm(given: readonly string[], options: RmCommandOptions): Promise<number> {
  requireRoot('remove tasks');
  const stackshim = openDoor();
  const force = options.force === true;
  let left = 0;
  const status = await forEachId<Removal>(given, {
    operation: 'remove task',
    act: (id) => stackshim.remove(id, { force }),
    async print(id, removal) {
      if (removal.removed) return await print(`${id}\n`);
      reportLeftovers({ id, ...removal });
      left += 1;
    },
  });
  return status === 0 && left > 0 ? 1 : status;
}
