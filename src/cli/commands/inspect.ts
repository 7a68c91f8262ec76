/** `stackshim inspect`: everything that is known about tasks, as JSON. */
import type { TaskInspection } from '../../task/reports/inspect-task.ts';
import { forEachId } from '../for-each-id.ts';
import { printJson } from '../print/print.ts';

/** Prints one array of the tasks that were found, as docker does. Resolves to the exit status. */
export async function inspect(given: readonly string[]): Promise<number> {
  const found: TaskInspection[] = [];
  const status = await forEachId(given, {
    operation: 'inspect task',
    act: (stackshim, id) => stackshim.inspect(id),
    print(_, inspection: TaskInspection) {
      found.push(inspection);
      return Promise.resolve(0);
    },
  });
  await printJson(found);
  return status;
}
