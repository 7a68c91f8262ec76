/** The work of a copying process: carries out one order, and answers on standard error. */
import { writeSync } from 'node:fs';
import { StackshimError, toStackshimError } from '../../core/errors.ts';
import { openInstallation, readPolicy } from '../installation.ts';
import { Budget } from '../outputs/budget.ts';
import { ContentReader } from '../outputs/content.ts';
import { toOutputError } from '../outputs/output-error.ts';
import type { OutputReport } from '../outputs/output-report.ts';
import { Pace } from '../outputs/pace.ts';
import { type CopyAnswer, type CopyOrder, STREAM, toCopyReport } from './copy-order.ts';
import { openTaskTree } from './task-tree.ts';

const STDOUT = 1;
const STDERR = 2;
const BEAT_MS = 500;
/** Without maxima in the policy. */
const MOST_BYTES = 1024 ** 4;
const MOST_ENTRIES = 10_000_000;

/** Carries out an order. Never rejects; the exit status is 1 if it failed. */
export async function serveCopy(order: CopyOrder): Promise<void> {
  let isAlone = false;
  const beats = startBeats(order, () => {
    isAlone = true;
  });
  try {
    const report = await copy(order, () => isAlone);
    answer({ report });
  } catch (error) {
    const operation = `copy files of task ${order.task}`;
    answer({
      error: toStackshimError(
        toOutputError(operation, error),
        'ERR_STACKSHIM_SYSTEM',
        operation,
      ).toJSON(),
    });
    process.exitCode = 1;
  } finally {
    clearInterval(beats);
  }
}

/** While the event loop turns, a byte now and then says so; a tar says it by itself. */
function startBeats(
  { direction, outside }: CopyOrder,
  onAlone: () => void,
): NodeJS.Timeout | undefined {
  if (direction === 'out' && outside === STREAM) return undefined;
  return setInterval(() => {
    try {
      writeSync(STDOUT, '.');
    } catch {
      // Nobody waits for the answer any more.
      onAlone();
    }
  }, BEAT_MS);
}

async function copy(order: CopyOrder, isStopped: () => boolean) {
  const installation = openInstallation(order.layout);
  const { maxima } = await readPolicy(installation.layout);
  const { takenBytes = MOST_BYTES, takenEntries = MOST_ENTRIES } = maxima;
  const budget = new Budget({ bytes: takenBytes, entries: takenEntries });
  const pace = new Pace(isStopped);
  const content = new ContentReader(budget, pace);
  const tree = await openTaskTree(installation, order.task);
  let report: OutputReport;
  try {
    const work = { order, tree, budget, pace, content };
    report =
      order.direction === 'out'
        ? await (await import('./copy-out.ts')).copyOut(work)
        : await (await import('./copy-in.ts')).copyIn(work);
  } finally {
    await tree.close();
  }
  const taken = report.finish(budget.bytesTaken);
  if (taken.state !== 'missing') return toCopyReport(taken);
  const path = order.direction === 'out' ? `${order.task}:${order.inside}` : order.outside;
  throw new StackshimError(
    'ERR_STACKSHIM_INPUT_NOT_FOUND',
    `read ${path}: no such file or folder`,
    {
      details: { path },
    },
  );
}

function answer(given: CopyAnswer): void {
  writeSync(STDERR, `${JSON.stringify(given)}\n`);
}
