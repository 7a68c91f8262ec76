/** Removes a task's disk space by its names, for a process that does not have it open. */
import { close, constants, existsSync, fstatSync, openSync } from 'node:fs';
import { unlessMissing } from '../../core/errors.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import type { Fd, System } from '../../sys/system.ts';
import type { TaskPlaces } from '../records/task-places.ts';
import { detachIdle, unlinkIfThere } from './idle-volumes.ts';
import { freeLoopDevice, loopName } from './loop-devices.ts';

type Places = Pick<TaskPlaces, 'scratchDir' | 'volumeFile' | 'idleVolumeDir'>;

/** Removes the disk space. Precondition: no process of the task is left. `loops` are the loop devices in use. A second call does nothing. */
export async function removeScratch(
  system: System,
  places: Places,
  loops: ReadonlyMap<string, string>,
): Promise<void> {
  const { scratchDir, volumeFile, idleVolumeDir } = places;
  while (system.detachMount(scratchDir));
  // A volume without its file is not the task's any more, but idle.
  if (existsSync(volumeFile)) detachIdle(system, idleVolumeDir);
  const fd = openVolumeFile(volumeFile);
  if (fd === undefined) return await removeScratchFiles(places);
  try {
    const name = loopName(volumeFile, fstatSync(fd));
    // A process that was killed while it made the volume left this name.
    unlinkIfThere(name);
    await removeScratchFiles(places);
    const loopDevice = loops.get(name);
    if (loopDevice !== undefined) await freeLoopDevice(loopDevice, name, fd);
  } finally {
    await closeLast(fd);
  }
}

/** Undefined if the file does not exist. */
const openVolumeFile = (path: string): Fd | undefined =>
  unlessMissing(() => openSync(path, constants.O_RDWR | constants.O_NOFOLLOW));

/** Closes on another thread: closing frees the space of an unlinked file, which takes time. */
export function closeLast(fd: Fd): Promise<void> {
  return new Promise((resolve, reject) => {
    close(fd, (error) => (error ? reject(error) : resolve()));
  });
}

/** Removes the volume's file, if it still exists, and the folder where the volume was mounted, with its content. */
export async function removeScratchFiles({ scratchDir, volumeFile }: Places): Promise<void> {
  await removeTree(scratchDir);
  unlinkIfThere(volumeFile);
}
