/** `stackshim ps`: lists the tasks of this installation; with `-a`, also ended tasks that left a report. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { ListedTask } from '../../task/records/list-tasks.ts';
import type { EndedTaskEntry } from '../../task/reports/list-ended.ts';
import { type FormatOption, type TruncOption, wantsJson } from '../define/shared-options.ts';
import { formatAge } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { print, printJson } from '../print/print.ts';
import { reportError } from '../print/printable.ts';
import { shorten } from '../print/text-width.ts';
import { parseFilters } from '../task-filters.ts';

const HEADER = ['ID', 'STACK', 'STATE', 'PID', 'OWNER', 'AGE', 'COMMAND', 'LABELS'];
const FILTER_KEYS = ['id', 'stack', 'status', 'tenant', 'label'] as const;
const COMMAND_LENGTH = 40;

interface PsCommandOptions extends FormatOption, TruncOption {
  readonly all?: boolean;
  readonly quiet?: boolean;
  readonly filter?: readonly string[];
}

/** A row of the table: a task that exists, or one that has ended. */
type ShownTask = ListedTask | EndedTaskEntry;

/** Resolves to the exit status: 1 if a record or a report could not be read, which is reported on stderr. */
export async function ps(options: PsCommandOptions): Promise<number> {
  const passes = parseFilters(options.filter ?? [], FILTER_KEYS);
  const isWanted = (task: ShownTask) => passes({ ...task, status: task.state });
  const stackshim = openDoor();
  const found = await stackshim.list();
  const foundEnded = options.all ? await stackshim.listEnded() : undefined;
  const tasks = found.tasks.filter(isWanted);
  const ended = foundEnded?.ended.filter(isWanted);
  const corrupt = [...found.corrupt, ...(foundEnded?.corrupt ?? [])];
  if (wantsJson(options)) await printJson({ tasks, ended, corrupt });
  else {
    const shown = [...tasks, ...(ended ?? [])];
    await print(options.quiet ? shown.map(({ id }) => `${id}\n`).join('') : format(shown, options));
    corrupt.forEach(reportError);
  }
  return corrupt.length === 0 ? 0 : 1;
}

function format(tasks: readonly ShownTask[], { trunc }: TruncOption): string {
  const now = Date.now();
  const rows = tasks.map((task) => toRow(task, now, trunc));
  return formatTable(HEADER, rows, { whole: !trunc });
}

function toRow(task: ShownTask, now: number, trunc: boolean): readonly string[] {
  const { id, stack, revision, createdAt, command, labels } = task;
  const line = command.join(' ');
  return [
    id,
    `${stack}@rev:${revision}`,
    ...('ownerPid' in task
      ? [task.state, task.pid === null ? '-' : String(task.pid), String(task.ownerPid)]
      : [toEndedState(task), '-', '-']),
    formatAge(now - Date.parse(createdAt)),
    trunc ? shorten(line, COMMAND_LENGTH) : line,
    Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
  ];
}

/** Formats the verdict, with the exit code if that says more: `failed (3)`. */
function toEndedState({ state, result }: EndedTaskEntry): string {
  if (result === null) return state;
  const { verdict, exitCode } = result;
  return verdict === 'failed' && exitCode !== null ? `${verdict} (${exitCode})` : verdict;
}
