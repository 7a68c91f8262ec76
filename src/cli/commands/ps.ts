/** `stackshim ps`: the tasks of this installation. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { ListedTask } from '../../task/records/list-tasks.ts';
import { formatAge } from '../format-quantities.ts';
import { formatTable, shorten } from '../format-table.ts';
import { print, printJson } from '../print.ts';
import { reportError } from '../printable.ts';
import { type FormatOption, wantsJson } from '../shared-options.ts';
import { parseFilters } from '../task-filters.ts';

const HEADER = ['ID', 'STACK', 'STATE', 'PID', 'OWNER', 'AGE', 'COMMAND', 'LABELS'];
const COMMAND_LENGTH = 40;

export interface PsCommandOptions extends FormatOption {
  readonly quiet?: boolean;
  readonly filter?: readonly string[];
  /** False: `--no-trunc`. */
  readonly trunc: boolean;
}

/** Resolves to the exit status: 1 if a record could not be read, which is reported on stderr. */
export async function ps(options: PsCommandOptions): Promise<number> {
  const isWanted = toFilter(options.filter);
  const { tasks: all, corrupt } = await openDoor().list();
  const tasks = all.filter(isWanted);
  if (wantsJson(options)) {
    await printJson({ tasks, corrupt });
  } else {
    await print(options.quiet ? tasks.map(({ id }) => `${id}\n`).join('') : format(tasks, options));
    corrupt.forEach(reportError);
  }
  return corrupt.length === 0 ? 0 : 1;
}

function toFilter(texts: readonly string[] = []): (task: ListedTask) => boolean {
  const passes = parseFilters(texts, ['id', 'stack', 'status', 'tenant', 'label']);
  return ({ id, stack, state, tenant, labels }) =>
    passes({ id, stack, status: state, tenant: tenant ?? undefined, labels });
}

function format(tasks: readonly ListedTask[], { trunc }: PsCommandOptions): string {
  const now = Date.now();
  const rows = tasks.map((task) => toRow(task, { now, trunc }));
  return formatTable(HEADER, rows);
}

function toRow(
  { id, stack, revision, state, pid, ownerPid, createdAt, command, labels }: ListedTask,
  { now, trunc }: { readonly now: number; readonly trunc: boolean },
): readonly string[] {
  const line = command.join(' ');
  return [
    id,
    `${stack}@rev:${revision}`,
    state,
    pid === null ? '-' : String(pid),
    String(ownerPid),
    formatAge(now - Date.parse(createdAt)),
    trunc ? shorten(line, COMMAND_LENGTH) : line,
    Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
  ];
}
