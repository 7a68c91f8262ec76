/** Removes a task's disk space by its names alone: for who does not have it open. */
import { close, constants, existsSync, openSync, unlinkSync } from 'node:fs';
import { errnoCodeOf } from '../../core/errors.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import type { Fd, System } from '../../sys/system.ts';
import type { TaskPlaces } from '../records/task-places.ts';
import { detachIdle } from './idle-volumes.ts';
import { freeLoopDevice } from './loop-devices.ts';

type Places = Pick<TaskPlaces, 'scratchDir' | 'volumeFile' | 'idleVolumeDir'>;

/**
 * Precondition: no process of the task is left. `loopDevice` is the one that had the volume's file, if any had. A second call does nothing.
 */
export async function removeScratch(
  system: System,
  places: Places,
  loopDevice: string | undefined,
): Promise<void> {
  const { scratchDir, volumeFile, idleVolumeDir } = places;
  while (system.detachMount(scratchDir));
  // Without its file the volume is not the task's any more, but waits for another.
  if (existsSync(volumeFile)) detachIdle(system, idleVolumeDir);
  const fd = openVolumeFile(volumeFile);
  await removeScratchFiles(places);
  if (fd === undefined) return;
  try {
    if (loopDevice !== undefined) await freeLoopDevice(loopDevice, volumeFile, fd);
  } finally {
    await closeLast(fd);
  }
}

/** Undefined when it is not there, or not any more. */
function openVolumeFile(path: string): Fd | undefined {
  try {
    return openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Closes on another thread: what was unlinked is freed then, which takes its time. */
export function closeLast(fd: Fd): Promise<void> {
  return new Promise((resolve, reject) => {
    close(fd, (error) => (error ? reject(error) : resolve()));
  });
}

/** The volume's file, if it is still there, and the folder where the volume was mounted, whatever it holds. */
export async function removeScratchFiles({ scratchDir, volumeFile }: Places): Promise<void> {
  await removeTree(scratchDir);
  try {
    unlinkSync(volumeFile);
  } catch (error) {
    if (errnoCodeOf(error) !== 'ENOENT') throw error;
  }
}
