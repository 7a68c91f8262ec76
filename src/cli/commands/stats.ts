/** `stackshim stats`: shows what running tasks use. On a terminal, a table is redrawn each second; elsewhere, one table or lines of JSON. */
import { setTimeout } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { pause } from '../../core/pause.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import type { Stackshim } from '../../door/stackshim.ts';
import { linuxSystem } from '../../sys/linux-system.ts';
import type { StatsLook, TaskStats } from '../../task/live/read-stats.ts';
import { type FormatOption, wantsJson } from '../define/shared-options.ts';
import { formatBytes } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { openPrinter, print, printJsonLine } from '../print/print.ts';
import { reportError } from '../print/printable.ts';
import { STDOUT } from '../print/terminal.ts';

const EVERY_MS = 1_000;
const HEADER = [
  ...['ID', 'STACK', 'CPU %', 'MEM USAGE / LIMIT', 'MEM %', 'PIDS', 'BLOCK I/O', 'DISK'],
  ...['MEM PEAK', 'PIDS PEAK'],
];
/** Shown for an unknown value. */
const UNKNOWN = '--';

/** Move to the top left corner; clear the rest of a line; clear everything below. */
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

/** Resolves to the exit status: 1 if a record could not be read, which is reported on stderr. Ends early when all named tasks have ended. */
export async function stats(
  ids: readonly string[],
  options: FormatOption & { readonly stream: boolean },
): Promise<number> {
  const stackshim = openDoor();
  const isJson = wantsJson(options);
  const first = await stackshim.stats(ids.length === 0 ? {} : { ids });
  const isStream = options.stream && (isJson || isatty(STDOUT));
  if (isStream) return await stream(stackshim, first, ids, isJson);
  // Processor use is only known at the second look.
  await pause(EVERY_MS);
  const look = await lookAgain(stackshim, ids);
  await (isJson ? printJsonLine(look) : print(format(look)));
  look.corrupt.forEach(reportError);
  return look.corrupt.length === 0 ? 0 : 1;
}

const lookAgain = (stackshim: Stackshim, ids: readonly string[]): Promise<StatsLook> =>
  stackshim.stats(ids.length === 0 ? {} : { ids, skipEnded: true });

/** @param ids Empty: all tasks. */
async function stream(
  stackshim: Stackshim,
  first: StatsLook,
  ids: readonly string[],
  isJson: boolean,
): Promise<number> {
  const { whileStoppable } = await import('../run/caller-signals.ts');
  const gone = new AbortController();
  const printer = openPrinter(() => gone.abort());
  return await whileStoppable(async (stop) => {
    const signal = AbortSignal.any([stop, gone.signal]);
    let look = first;
    for (let at = performance.now(); ; at += EVERY_MS) {
      await (isJson ? printer.printJsonLine(look) : printer.draw(toScreen(look, look === first)));
      if (signal.aborted || (ids.length > 0 && look.tasks.length === 0)) return 0;
      await pauseUntil(Math.max(at + EVERY_MS, performance.now()), signal);
      if (signal.aborted) return 0;
      look = await lookAgain(stackshim, ids);
    }
  });
}

/** Resolves early when the signal aborts. */
const pauseUntil = (at: number, signal: AbortSignal) =>
  setTimeout(Math.max(0, at - performance.now()), undefined, { signal }).catch(() => undefined);

/** Draws over the last table. Leaves out what does not fit into the terminal: a table that scrolls could not be drawn over. */
function toScreen(look: StatsLook, isFirst: boolean): string {
  // A serial line, or a terminal that a program made, may report an unknown size as 0.
  const { columns, rows } = linuxSystem.windowSize(STDOUT);
  const lines = format(look).trimEnd().split('\n');
  const room = Math.max(2, (rows || Number.POSITIVE_INFINITY) - 1);
  const shown = lines.slice(0, room);
  if (lines.length > room) shown[room - 1] = `… and ${lines.length - room + 1} more`;
  const cutTo = columns || Number.POSITIVE_INFINITY;
  const cut = shown.map((line) => `${[...line].slice(0, cutTo).join('')}${CLEAR_LINE}\n`);
  return `${isFirst ? `${HOME}${CLEAR_BELOW}` : HOME}${cut.join('')}${CLEAR_BELOW}`;
}

const format = ({ tasks }: StatsLook): string => formatTable(HEADER, tasks.map(toRow));

function toRow(task: TaskStats): readonly string[] {
  const { memoryBytes, memoryLimitBytes, pids, ioReadBytes, ioWriteBytes } = task;
  return [
    task.id,
    task.stack,
    task.state === 'running' ? toPercent(task.cpuPercent) : task.state,
    `${toSize(memoryBytes)} / ${toSize(memoryLimitBytes)}`,
    toPercent(task.memoryPercent),
    toCount(pids),
    `${toSize(ioReadBytes)} / ${toSize(ioWriteBytes)}`,
    toSize(task.diskBytes),
    toSize(task.memoryPeakBytes),
    toCount(task.pidsPeak),
  ];
}

const toSize = (bytes: number | null) => (bytes === null ? UNKNOWN : formatBytes(bytes));
const toCount = (count: number | null) => (count === null ? UNKNOWN : String(count));
const toPercent = (percent: number | null) =>
  percent === null ? UNKNOWN : `${percent.toFixed(2)}%`;
