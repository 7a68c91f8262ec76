/** Stops all processes of a task for a while, and lets them run again. The kernel's freezer does both: no owner and no runtime is asked. */
import { rmSync, writeFileSync } from 'node:fs';
import { unlessMissing } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import type { Installation } from '../installation.ts';
import { requireBegun, requireLive, toConflict } from './require-live.ts';

const PAUSE = 'pause task';
const UNPAUSE = 'unpause task';

/**
 * Pauses a task; resolves once all its processes have stopped. Its time goes on. Rejects like `requireLive`, and with
 * ERR_STACKSHIM_TASK_CONFLICT if the task is paused already, or if a process does not stop within some seconds; then it runs on.
 */
export async function pauseTask(installation: Installation, id: TaskId): Promise<void> {
  const { cgroups } = installation;
  const task = requireLive(installation, id, { operation: PAUSE, mayBeOrphaned: false });
  await requireBegun(task, PAUSE);
  const { cgroupsPath, pausedFile } = task.places;
  if (cgroups.isFrozen(cgroupsPath)) throw toConflict(PAUSE, id, 'it is paused already');
  const live = await cgroups.openLive();
  const outcome = await live.freeze(cgroupsPath);
  if (outcome === 'gone') throw toConflict(PAUSE, id, 'it has ended');
  if (outcome === 'stuck') {
    const reason = 'one of its processes waits in the kernel and did not stop; the task runs on';
    throw toConflict(PAUSE, id, reason, 'try again later');
  }
  unlessMissing(() => writeFileSync(pausedFile, '', { mode: 0o600 }));
}

/** Lets a paused task run again. Rejects like `requireLive`, and with ERR_STACKSHIM_TASK_CONFLICT if the task is not paused. */
export function unpauseTask(installation: Installation, id: TaskId): void {
  const { cgroups } = installation;
  const { places } = requireLive(installation, id, { operation: UNPAUSE, mayBeOrphaned: false });
  if (!cgroups.isFrozen(places.cgroupsPath)) throw toConflict(UNPAUSE, id, 'it is not paused');
  rmSync(places.pausedFile, { force: true });
  cgroups.thaw(places.cgroupsPath);
}
