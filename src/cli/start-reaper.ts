/** Leaves the removal of an ended task to a process of its own, so that `run --remove async` can return. */
import { spawn } from 'node:child_process';
import type { TaskId } from '../core/ids.ts';

/** Starts `stackshim reap --wait ID`: it removes the task once this process, its owner, is gone. */
export function startReaper(id: TaskId): void {
  const reaper = spawn(process.execPath, ['reap', '--wait', id], {
    detached: true,
    stdio: 'ignore',
    cwd: '/',
  });
  reaper.unref();
}
