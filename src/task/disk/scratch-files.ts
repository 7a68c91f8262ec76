/** Finds and removes a task's disk space by its names alone, for processes that do not have it open. */
import {
  close,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { errnoCodeOf, unlessFailed, unlessMissing } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import { detachTarget } from '../../rootfs/mount-rootfs.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import type { Fd, System } from '../../sys/system.ts';
import type { TaskPlaces } from '../records/task-places.ts';

type Places = Pick<TaskPlaces, 'scratchDir' | 'volumeFile' | 'idleVolumeDir'>;

/** Removes the disk space. `loops`: the loop devices in use. Precondition: no process of the task is left. A second call does nothing. */
export async function removeScratch(
  system: System,
  places: Places,
  loops: ReadonlyMap<string, string>,
): Promise<void> {
  const { scratchDir, volumeFile, idleVolumeDir } = places;
  await detachTarget(system, scratchDir);
  // A volume without its file is idle, and no longer the task's.
  if (existsSync(volumeFile)) detachIdle(system, idleVolumeDir);
  const fd = unlessMissing(() => openSync(volumeFile, constants.O_RDWR | constants.O_NOFOLLOW));
  if (fd === undefined) return await removeScratchFiles(places);
  try {
    const name = loopName(volumeFile, fstatSync(fd));
    // Left by a process that was killed while it made the volume.
    unlinkIfThere(name);
    await removeScratchFiles(places);
    const loopDevice = loops.get(name);
    if (loopDevice !== undefined) await freeLoopDevice(loopDevice, name, fd);
  } finally {
    await closeLast(fd);
  }
}

/** Closes on another thread, because closing an unlinked file frees its space, which takes time. */
export function closeLast(fd: Fd): Promise<void> {
  return new Promise((resolve, reject) => {
    close(fd, (error) => (error ? reject(error) : resolve()));
  });
}

/** Removes the volume's file, if it still exists, and the folder where the volume was mounted, with its contents. */
export async function removeScratchFiles({ scratchDir, volumeFile }: Places): Promise<void> {
  await removeTree(scratchDir);
  unlinkIfThere(volumeFile);
}

/** Returns false if there is no such file. */
export function unlinkIfThere(file: string): boolean {
  try {
    unlinkSync(file);
    return true;
  } catch (error) {
    // A read-only filesystem refuses before it looks up the name.
    if (errnoCodeOf(error) === 'ENOENT' || !existsSync(file)) return false;
    throw error;
  }
}

/** Detaches the mount, if there is one, and removes its folder. */
export function detachIdle(system: System, mount: string): void {
  while (system.detachMount(mount));
  unlessFailed(() => rmdirSync(mount), BEING_TAKEN);
}

/** EBUSY: another process (a claimer of the volume, or a sweep) is detaching the mount, and removes the folder. */
export const BEING_TAKEN: readonly string[] = ['ENOENT', 'EBUSY'];

/** A program may briefly inspect a new device, and the kernel takes time to end a container's mounts. */
const FREE_WITHIN_MS = 200;
const POLL_MS = 5;
/** The kernel appends this to the path of an unlinked file. */
const UNLINKED = ' (deleted)';

/** Names (`loop3`) of the loop devices in use, by the path of their backing file. */
export function readLoopDevices(): ReadonlyMap<string, string> {
  const devices = new Map<string, string>();
  for (const name of readdirSync('/sys/block')) {
    const file = name.startsWith('loop') ? fileOf(name) : undefined;
    if (file !== undefined) devices.set(file, name);
  }
  return devices;
}

/** The path by which a loop device opens a volume's file: in the same folder, named by inode. Exists only briefly, while the volume is made. */
export const loopName = (file: string, { ino }: { readonly ino: number }) =>
  `${dirname(file)}/.loop-${ino}`;

/**
 * Resolves when the device no longer has the file `name` (of {@link loopName}). If a process
 * keeps using its filesystem, empties the file, which is open as `fd`, so that it uses no space.
 */
export async function freeLoopDevice(device: string, name: string, fd: Fd): Promise<void> {
  const endsAt = performance.now() + FREE_WITHIN_MS;
  while (fileOf(device) === name) {
    if (performance.now() > endsAt) {
      ftruncateSync(fd);
      return;
    }
    await pause(POLL_MS);
  }
}

function fileOf(device: string): string | undefined {
  // These errors mean that the device has no file, or is gone.
  const text = unlessFailed(
    () => readFileSync(`/sys/block/${device}/loop/backing_file`, 'utf8').trimEnd(),
    ['ENOENT', 'ENODEV', 'ENXIO'],
  );
  return text?.endsWith(UNLINKED) ? text.slice(0, -UNLINKED.length) : text;
}
