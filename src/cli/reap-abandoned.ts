/** `stackshim reap`: removes what dead owners left. */
import { parseTaskId } from '../core/ids.ts';
import { openInstallation } from '../task/installation.ts';
import { type ReapReport, reapTasks } from '../task/reap.ts';
import { print, printJson } from './print.ts';
import { reportError } from './report-error.ts';
import { reportLeftovers } from './report-leftovers.ts';
import { requireRoot } from './require-root.ts';
import { waitForOwner } from './wait-for-owner.ts';

export interface ReapCommandOptions {
  readonly json?: boolean;
  /** Id of a task whose owner is to be waited for. */
  readonly wait?: string;
}

const OWNER_ENDS_WITHIN_MS = 30_000;

/** Prints the id of each task that was removed. Resolves to the exit status: 1 when something is left. */
export async function reapAbandoned(options: ReapCommandOptions): Promise<number> {
  const awaited = options.wait === undefined ? undefined : parseTaskId(options.wait);
  requireRoot('reap tasks');
  const installation = openInstallation();
  if (awaited !== undefined) {
    await waitForOwner(installation.layout, awaited, OWNER_ENDS_WITHIN_MS);
  }
  const report = await reapTasks(installation);
  if (options.json) await printJson(report);
  else await printReport(report);
  const isDone = report.corrupt.length === 0 && report.reaped.every(({ removed }) => removed);
  return isDone ? 0 : 1;
}

async function printReport({ reaped, corrupt }: ReapReport): Promise<void> {
  const gone = reaped.filter(({ removed }) => removed);
  await print(gone.map(({ id }) => `${id}\n`).join(''));
  for (const task of reaped) if (!task.removed) reportLeftovers(task);
  corrupt.forEach(reportError);
}
