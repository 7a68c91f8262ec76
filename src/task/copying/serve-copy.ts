/** The copying process: carries out one order and answers on standard error. */
import { writeSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import { openInstallation, readPolicy } from '../installation.ts';
import { Budget } from '../outputs/budget.ts';
import { ContentReader } from '../outputs/content.ts';
import { Stopped, toOutputError } from '../outputs/left-out.ts';
import type { OutputReport } from '../outputs/output-report.ts';
import { Pace } from '../outputs/pace.ts';
import { type CopyAnswer, type CopyOrder, STREAM, toCopyReport } from './copy-order.ts';
import { openTaskTree, type TaskTree, toEnded } from './task-tree.ts';

const STDOUT = 1;
const STDERR = 2;
const BEAT_MS = 500;
const LOOK_MS = 200;
/** So many looks after the task's end, this process ends itself. Usually the copy notices the end first, between two pieces of work. */
const LOOKS_AFTER_END = 5;
/** The bounds of a copy if the policy has no maxima. */
const MOST_BYTES = 1024 ** 4;
const MOST_ENTRIES = 10_000_000;

/** Carries out an order. Never rejects; sets exit status 1 if the copy failed. */
export async function serveCopy(order: CopyOrder): Promise<void> {
  let isAlone = false;
  const isTar = order.direction !== 'in' && order.outside === STREAM;
  const beat = () => {
    try {
      writeSync(STDOUT, '.');
    } catch {
      // Nobody waits for the answer any more.
      isAlone = true;
    }
  };
  // A byte now and then shows that the event loop turns; the bytes of a tar show it themselves.
  const beats = isTar ? undefined : setInterval(beat, BEAT_MS);
  try {
    answer({ report: await copy(order, () => isAlone) });
  } catch (error) {
    answer({ error: toOutputError(`copy files of task ${order.task}`, error).toJSON() });
    process.exitCode = 1;
  } finally {
    clearInterval(beats);
  }
}

async function copy(order: CopyOrder, isStopped: () => boolean) {
  const installation = openInstallation(order.layout);
  const { maxima } = await readPolicy(installation.layout);
  const { takenBytes = MOST_BYTES, takenEntries = MOST_ENTRIES } = maxima;
  const budget = new Budget({ bytes: takenBytes, entries: takenEntries });
  const mayBeKept = order.direction !== 'list';
  const tree = await openTaskTree(installation, order.task, { mayBeKept });
  const pace = new Pace(() => isStopped() || tree.hasEnded());
  const content = new ContentReader(budget, pace);
  const letGo = letGoAtEnd(tree, order.task);
  let report: OutputReport;
  try {
    const work = await loadWork(order);
    report = await work({ order, tree, budget, pace, content });
  } catch (error) {
    throw error instanceof Stopped && tree.hasEnded() ? toEnded(order.task, error) : error;
  } finally {
    clearInterval(letGo);
    await tree.close();
  }
  const taken = report.finish(budget.bytesTaken);
  if (taken.state !== 'missing') return toCopyReport(taken);
  const path = order.direction === 'in' ? order.outside : `${order.task}:${order.inside}`;
  const message = `read ${path}: no such file or folder`;
  throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', message, { details: { path } });
}

async function loadWork({ direction }: CopyOrder) {
  if (direction === 'in') return (await import('./copy-in.ts')).copyIn;
  const { copyOut, copyList } = await import('./copy-out.ts');
  return direction === 'out' ? copyOut : copyList;
}

/** Ends this process if the copy goes on after the task's end: nobody may be reading its tar, or writing the tar that is unpacked. */
function letGoAtEnd(tree: TaskTree, task: TaskId): NodeJS.Timeout {
  let looks = 0;
  return setInterval(() => {
    if (tree.hasEnded()) looks += 1;
    if (looks < LOOKS_AFTER_END) return;
    answer({ error: toEnded(task).toJSON() });
    // An exit would wait for the pending write.
    process.kill(process.pid, 'SIGKILL');
  }, LOOK_MS);
}

function answer(given: CopyAnswer): void {
  writeSync(STDERR, `${JSON.stringify(given)}\n`);
}
