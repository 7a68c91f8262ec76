/** `stackshim ps`: the tasks of this installation. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { ListedTask } from '../../task/records/list-tasks.ts';
import { formatAge } from '../format-quantities.ts';
import { formatTable, shorten } from '../format-table.ts';
import { print, printJson } from '../print.ts';
import { reportError } from '../printable.ts';

const HEADER = ['ID', 'STACK', 'STATE', 'PID', 'OWNER', 'AGE', 'COMMAND', 'LABELS'];
const COMMAND_LENGTH = 40;

/** Resolves to the exit status: 1 if a record could not be read, which is reported on stderr. */
export async function ps(options: { readonly json?: boolean }): Promise<number> {
  const list = await openDoor().list();
  if (options.json) {
    await printJson(list);
  } else {
    const now = Date.now();
    await print(
      formatTable(
        HEADER,
        list.tasks.map((task) => toRow(task, now)),
      ),
    );
    list.corrupt.forEach(reportError);
  }
  return list.corrupt.length === 0 ? 0 : 1;
}

function toRow(task: ListedTask, now: number): readonly string[] {
  const { id, stack, revision, state, pid, ownerPid, createdAt, command, labels } = task;
  return [
    id,
    `${stack}@rev:${revision}`,
    state,
    pid === null ? '-' : String(pid),
    String(ownerPid),
    formatAge(now - Date.parse(createdAt)),
    shorten(command.join(' '), COMMAND_LENGTH),
    Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
  ];
}
