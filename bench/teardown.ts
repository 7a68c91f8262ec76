/** Duration of removing tasks that have written 100,000 files, with and without the caller waiting. */
import { runTask, type TaskEvent } from 'stackshim';
import type { Installed } from './installed.ts';

export interface Teardown {
  readonly files: number;
  readonly runs: number;
  /** The longest removal, from the end of the usage reading to the last check. */
  readonly syncMaxMs: number;
  /** With `remove: 'async'`: the longest time from the command's end to the result. */
  readonly asyncMaxMs: number;
  /** Whether each task was reported as completely removed, in its result or by its event. */
  readonly allRemoved: boolean;
}

const FILES = 100_000;
const RUNS = 10;

export async function measureTeardown(installed: Installed): Promise<Teardown> {
  const sync: number[] = [];
  const async: number[] = [];
  let allRemoved = true;
  for (let round = 0; round < RUNS; round += 1) {
    const waited = await runOnce(installed, 'sync');
    sync.push(waited.removeMs);
    const left = await runOnce(installed, 'async');
    async.push(left.resultMs);
    allRemoved &&= waited.removed && left.removed;
  }
  const [syncMaxMs, asyncMaxMs] = [Math.max(...sync), Math.max(...async)];
  return { files: FILES, runs: RUNS, syncMaxMs, asyncMaxMs, allRemoved };
}

async function runOnce({ stack, options }: Installed, remove: 'sync' | 'async') {
  const command = ['sh', '-c', `mkdir /many; cd /many; seq ${FILES} | xargs touch`];
  let exitedAt = 0;
  let onRemoved: (removed: boolean) => void = () => undefined;
  const removal = new Promise<boolean>((resolve) => {
    onRemoved = resolve;
  });
  const onEvent = (event: TaskEvent) => {
    if (event.type === 'exited') exitedAt = performance.now();
    if (event.type === 'removed') onRemoved(event.removed);
  };
  const result = await runTask({ stack, command, remove }, { ...options, onEvent });
  const resultMs = performance.now() - exitedAt;
  if (result.verdict !== 'succeeded') throw new Error(JSON.stringify(result));
  return { resultMs, removeMs: result.phasesMs.remove, removed: await removal };
}
