/** Removes a task's disk space by its names alone: for who does not have it open. */
import { existsSync, unlinkSync } from 'node:fs';
import { errnoCodeOf } from '../../core/errors.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import type { System } from '../../sys/system.ts';
import type { TaskPlaces } from '../task-places.ts';
import { detachIdle } from './idle-volumes.ts';
import { loopDeviceFreed } from './loop-devices.ts';

type Places = Pick<TaskPlaces, 'scratchDir' | 'volumeFile' | 'idleVolumeDir'>;

/**
 * Precondition: no process of the task is left. `loopDevice` is the one that had the volume's file, if any had: it must be free
 * in the end. A second call does nothing.
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
  await removeScratchFiles(places);
  if (loopDevice !== undefined) await loopDeviceFreed(loopDevice, volumeFile);
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
