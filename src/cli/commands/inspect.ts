/** `stackshim inspect`: everything that is known about tasks, as JSON. */
import { openDoor, requireRoot } from '../../door/open-stackshim.ts';
import type { TaskInspection } from '../../task/reports/inspect-task.ts';
import { forEachId } from '../for-each-id.ts';
import { printJson } from '../print.ts';

/** Prints one array, as docker does: of the tasks that exist. Resolves to the exit status. */
export async function inspect(given: readonly string[]): Promise<number> {
  requireRoot('inspect tasks');
  const stackshim = openDoor();
  const found: TaskInspection[] = [];
  const status = await forEachId<TaskInspection>(given, {
    operation: 'inspect task',
    act: (id) => stackshim.inspect(id),
    print(_, inspection) {
      found.push(inspection);
      return Promise.resolve();
    },
  });
  await printJson(found);
  return status;
}
