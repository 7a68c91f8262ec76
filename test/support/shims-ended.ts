/** Removal that was left to a process of its own ends a little after the task is gone. */
import { basename } from 'node:path';
import { findProcesses } from '../../src/sys/processes.ts';
import { waitUntil } from './wait-until.ts';

/** Resolves once no `stackshim` runs that was started for one of these tasks. Rejects after 20 s. */
export async function shimsEnded(isTask: (id: string) => boolean): Promise<void> {
  const isForTask = ([program = '', ...args]: readonly string[]) =>
    basename(program) === 'stackshim' && args.some(isTask);
  await waitUntil(() => findProcesses(isForTask).length === 0);
}
