/** Whoever carries out an asynchronous removal ends a little after the task is gone. */
import { basename } from 'node:path';
import { findProcesses } from '../../../src/sys/processes.ts';
import { waitUntil } from '../timing/wait-until.ts';

/** Resolves once no process runs that `run --remove async` has left a removal to. Rejects after 20 s. */
export async function reapersEnded(): Promise<void> {
  const isReaper = ([program = '', command, option]: readonly string[]) =>
    basename(program) === 'stackshim' && command === 'reap' && option === '--wait';
  await waitUntil(() => findProcesses(isReaper).length === 0);
}
