/** `stackshim reap`: removes the tasks of dead owners, once or, with `--watch`, as soon as each owner has died. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { ReapReport } from '../../task/abandoned/reap.ts';
import type { JsonOption } from '../define/shared-options.ts';
import { print, printJson, printJsonLine } from '../print/print.ts';
import { reportError, reportLeftovers } from '../print/printable.ts';

interface ReapCommandOptions extends JsonOption {
  readonly watch?: boolean;
  /** Id of a task whose owner must end first. */
  readonly wait?: string;
}

/** Prints the id of each removed task. Resolves to the exit status: 1 if something is left or a record is damaged. */
export async function reap(options: ReapCommandOptions): Promise<number> {
  if (options.watch) return await watchUntilStopped(options);
  const report = await openDoor().reap({ afterOwnerOf: options.wait });
  if (options.json) await printJson(report);
  else await printReport(report);
  const isDone = report.corrupt.length === 0 && report.reaped.every(({ removed }) => removed);
  return isDone ? 0 : 1;
}

/** Prints each report: with `--json` on one line, otherwise as without `--watch`. Reports each damaged record once. */
async function watchUntilStopped({ json }: JsonOption): Promise<number> {
  const { whileStoppable } = await import('../run/caller-signals.ts');
  const reported = new Set<string>();
  let printed = Promise.resolve();
  const onReport = ({ reaped, corrupt }: ReapReport) => {
    const news = corrupt.filter(({ message }) => !reported.has(message));
    for (const { message } of news) reported.add(message);
    const report = { reaped, corrupt: news };
    if (reaped.length + news.length === 0) return;
    printed = printed.then(() => (json ? printJsonLine(report) : printReport(report)));
  };
  await whileStoppable(async (signal) => {
    await openDoor().watchOwners({ signal, onReport });
    await printed;
  });
  return 0;
}

async function printReport({ reaped, corrupt }: ReapReport): Promise<void> {
  const gone = reaped.filter(({ removed }) => removed);
  await print(gone.map(({ id }) => `${id}\n`).join(''));
  for (const task of reaped) if (!task.removed) reportLeftovers(task);
  corrupt.forEach(reportError);
}
