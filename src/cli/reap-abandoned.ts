/** `stackshim reap`: removes what dead owners left, once or, with `--watch`, as soon as they have died. */
import { parseTaskId } from '../core/ids.ts';
import { type ReapReport, reapTasks } from '../task/abandoned/reap.ts';
import type { Installation } from '../task/installation.ts';
import { openAsRoot } from './open-as-root.ts';
import { print, printJson, printJsonLine } from './print.ts';
import { reportError } from './report-error.ts';
import { reportLeftovers } from './report-leftovers.ts';
import { waitForOwner } from './wait-for-owner.ts';

export interface ReapCommandOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
  /** Id of a task whose owner is to be waited for. */
  readonly wait?: string;
}

const OWNER_ENDS_WITHIN_MS = 30_000;

/** Prints the id of each task that was removed. Resolves to the exit status: 1 when something is left. */
export async function reapAbandoned(options: ReapCommandOptions): Promise<number> {
  const awaited = options.wait === undefined ? undefined : parseTaskId(options.wait);
  const installation = openAsRoot('reap tasks');
  if (awaited !== undefined) {
    await waitForOwner(installation.layout, awaited, OWNER_ENDS_WITHIN_MS);
  }
  if (options.watch) return await watchUntilStopped(installation, options);
  const report = await reapTasks(installation);
  if (options.json) await printJson(report);
  else await printReport(report);
  const isDone = report.corrupt.length === 0 && report.reaped.every(({ removed }) => removed);
  return isDone ? 0 : 1;
}

/** One report after another: a line of JSON each, or as without `--watch`. Damaged records are told of once. */
async function watchUntilStopped(
  installation: Installation,
  { json }: ReapCommandOptions,
): Promise<number> {
  const [{ watchOwners }, { listenForStops }] = await Promise.all([
    import('../task/abandoned/watch-owners.ts'),
    import('./stop-signals.ts'),
  ]);
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
    await watchOwners(installation, { signal: stops.signals.signal, onReport });
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
