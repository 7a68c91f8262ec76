/** Waits for asynchronous removals: their processes end a little after the task is removed. */
import { basename } from 'node:path';
import { findProcesses } from '../../../src/sys/processes.ts';
import { waitUntil } from '../timing/wait-until.ts';

/** Resolves once no process of `run --remove async` is removing a task. Rejects after 20 s. */
export async function reapersEnded(): Promise<void> {
  const isReaper = ([program = '', command, option]: readonly string[]) =>
    basename(program) === 'stackshim' && command === 'reap' && option === '--wait';
  await waitUntil(() => findProcesses(isReaper).length === 0);
}
