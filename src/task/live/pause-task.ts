/** Pauses and unpauses all processes of a task with the kernel's freezer, without its owner and its runtime. */
import { rmSync, writeFileSync } from 'node:fs';
import { unlessMissing } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import type { Installation } from '../installation.ts';
import { ENDED, toTaskConflict } from '../records/task-errors.ts';
import { requireBegun, requireLive } from './require-live.ts';

const PAUSE = 'pause task';
const UNPAUSE = 'unpause task';

/**
 * Pauses a task. Resolves once all its processes have stopped; its time goes on. Rejects like `requireLive`, and with
 * ERR_STACKSHIM_TASK_CONFLICT if the task is already paused, or if a process does not stop within some seconds; then the task runs on.
 */
export async function pauseTask(installation: Installation, id: TaskId): Promise<void> {
  const { cgroups } = installation;
  const task = requireLive(installation, id, { operation: PAUSE, mayBeOrphaned: false });
  await requireBegun(task, PAUSE);
  const { cgroupsPath, pausedFile } = task.places;
  if (cgroups.isFrozen(cgroupsPath)) {
    throw toTaskConflict(PAUSE, id, { state: 'paused', why: 'it is paused already' });
  }
  const live = await cgroups.openLive();
  const outcome = await live.freeze(cgroupsPath);
  if (outcome === 'gone') throw toTaskConflict(PAUSE, id, ENDED);
  if (outcome === 'stuck') {
    const why = 'one of its processes waits in the kernel and did not stop; the task runs on';
    throw toTaskConflict(PAUSE, id, { state: 'running', why, hint: 'try again later' });
  }
  try {
    unlessMissing(() => writeFileSync(pausedFile, '', { mode: 0o600 }));
  } catch (error) {
    // After an error, the caller expects the task to run on.
    cgroups.thaw(cgroupsPath);
    throw error;
  }
}

/** Lets a paused task run again. Throws like `requireLive`, and ERR_STACKSHIM_TASK_CONFLICT if the task is not paused. */
export function unpauseTask(installation: Installation, id: TaskId): void {
  const { cgroups } = installation;
  const { places } = requireLive(installation, id, { operation: UNPAUSE, mayBeOrphaned: false });
  if (!cgroups.isFrozen(places.cgroupsPath)) {
    throw toTaskConflict(UNPAUSE, id, { state: 'running', why: 'it is not paused' });
  }
  rmSync(places.pausedFile, { force: true });
  cgroups.thaw(places.cgroupsPath);
}
