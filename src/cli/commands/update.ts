/** `stackshim update`: changes limits of running tasks. */
import { parseUpdate, type UpdateInput } from '../../task/live/update-task.ts';
import type { JsonOption } from '../define/shared-options.ts';
import { forEachId, printId } from '../for-each-id.ts';
import { printJsonLine } from '../print/print.ts';
import { writeMessage } from '../print/printable.ts';

/**
 * Prints the id of each updated task, and notes about the effect on stderr; with `--json`, one line for each task. Resolves to the exit
 * status. Changes no task if a limit is invalid.
 */
export async function update(
  ids: readonly string[],
  { json = false, ...input }: UpdateInput & JsonOption,
): Promise<number> {
  parseUpdate(input);
  return await forEachId(ids, {
    operation: 'update task',
    act: (stackshim, id) => stackshim.update(id, input),
    async print(id, done) {
      await (json ? printJsonLine(done) : printId(id));
      if (!json) for (const note of done.notes) writeMessage(`stackshim: task ${id}: ${note}\n`);
      return 0;
    },
  });
}
