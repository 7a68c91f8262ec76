/** `stackshim top`: lists the processes of a task. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { TaskProcess } from '../../task/live/list-processes.ts';
import { type FormatOption, wantsJson } from '../define/shared-options.ts';
import { formatClock, formatCount } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { print, printJson, printNote } from '../print/print.ts';

const HEADER = ['PID', 'TASK PID', 'PPID', 'USER', 'STATE', 'TIME', 'COMMAND'];
/** Shown for a value that could not be read in time. */
const UNKNOWN = '?';

export async function top(id: string, options: FormatOption): Promise<void> {
  const list = await openDoor().processes(id);
  if (wantsJson(options)) return await printJson(list);
  await print(formatTable(HEADER, list.processes.map(toRow)));
  const more = list.total - list.processes.length;
  if (more > 0) printNote(`stackshim: ${formatCount(more, 'more process')} not listed\n`);
}

function toRow({ pid, taskPid, parentPid, user, state, cpuMs, ...process }: TaskProcess) {
  return [
    pid === null ? '-' : String(pid),
    String(taskPid ?? UNKNOWN),
    String(parentPid ?? UNKNOWN),
    String(user ?? UNKNOWN),
    state ?? UNKNOWN,
    cpuMs === null ? UNKNOWN : formatClock(cpuMs),
    toCommand(process),
  ];
}

/** Shows a process without arguments by its name, as ps(1) does. */
function toCommand({ command, name }: Pick<TaskProcess, 'command' | 'name'>): string {
  if (command === null) return UNKNOWN;
  return command.length > 0 ? command.join(' ') : `[${name ?? UNKNOWN}]`;
}
