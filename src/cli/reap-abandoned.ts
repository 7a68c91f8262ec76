/** `stackshim reap`: removes what dead owners left, once or, with `--watch`, as soon as they have died. */
import { openDoor } from '../door/open-stackshim.ts';
import type { ReapReport } from '../task/abandoned/reap.ts';
import { print, printJson, printJsonLine } from './print.ts';
import { reportError, reportLeftovers } from './report-error.ts';

export interface ReapCommandOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
  /** Id of a task whose owner is to be waited for. */
  readonly wait?: string;
}

/** Prints the id of each task that was removed. Resolves to the exit status: 1 when something is left. */
export async function reapAbandoned(options: ReapCommandOptions): Promise<number> {
  if (options.watch) return await watchUntilStopped(options);
  const { wait } = options;
  const report = await openDoor().reap({ afterOwnerOf: wait });
  if (options.json) await printJson(report);
  else await printReport(report);
  const isDone = report.corrupt.length === 0 && report.reaped.every(({ removed }) => removed);
  return isDone ? 0 : 1;
}

/** One report after another: a line of JSON each, or as without `--watch`. Damaged records are told of once. */
async function watchUntilStopped({ json }: ReapCommandOptions): Promise<number> {
  const { listenForStops } = await import('./stop-signals.ts');
  const stops = listenForStops();
  const told = new Set<string>();
  let printed = Promise.resolve();
  const onReport = ({ reaped, corrupt }: ReapReport) => {
    const news = corrupt.filter(({ message }) => !told.has(message));
    for (const { message } of news) told.add(message);
    const report = { reaped, corrupt: news };
    if (reaped.length + news.length === 0) return;
    printed = printed.then(() => (json ? printJsonLine(report) : printReport(report)));
  };
  try {
    await openDoor().watchOwners({ signal: stops.signals.signal, onReport });
    await printed;
  } finally {
    stops.close();
  }
  return 0;
}

async function printReport({ reaped, corrupt }: ReapReport): Promise<void> {
  const gone = reaped.filter(({ removed }) => removed);
  await print(gone.map(({ id }) => `${id}\n`).join(''));
  for (const task of reaped) if (!task.removed) reportLeftovers(task);
  corrupt.forEach(reportError);
}
