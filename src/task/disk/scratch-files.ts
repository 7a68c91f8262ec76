/** A task's disk space by its names alone, for who does not have it open: its removal, and the loop device of its volume. */
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
import { errnoCodeOf } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import type { Fd, System } from '../../sys/system.ts';
import type { TaskPlaces } from '../records/task-places.ts';

type Places = Pick<TaskPlaces, 'scratchDir' | 'volumeFile' | 'idleVolumeDir'>;

/**
 * Precondition: no process of the task is left. `loops` are the loop devices in use. A second call does nothing.
 */
export async function removeScratch(
  system: System,
  places: Places,
  loops: ReadonlyMap<string, string>,
): Promise<void> {
  const { scratchDir, volumeFile, idleVolumeDir } = places;
  while (system.detachMount(scratchDir));
  // Without its file the volume is not the task's any more, but waits for another.
  if (existsSync(volumeFile)) detachIdle(system, idleVolumeDir);
  const fd = openVolumeFile(volumeFile);
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
  unlinkIfThere(volumeFile);
}

/** False when there is none. */
export function unlinkIfThere(file: string): boolean {
  try {
    unlinkSync(file);
    return true;
  } catch (error) {
    // A read-only filesystem refuses before it looks for the name.
    if (errnoCodeOf(error) === 'ENOENT' || !existsSync(file)) return false;
    throw error;
  }
}

/** Takes the mount, if there is one, and its folder. */
export function detachIdle(system: System, mount: string): void {
  while (system.detachMount(mount));
  try {
    rmdirSync(mount);
  } catch (error) {
    if (!isBeingTaken(error)) throw error;
  }
}

/** EBUSY: somebody else (whoever claimed the volume, or a sweep) is detaching the mount at this moment, and removes the folder. */
export const isBeingTaken = (error: unknown) =>
  ['ENOENT', 'EBUSY'].includes(errnoCodeOf(error) ?? '');

/** A program may look at a new device for a moment, and the kernel takes its time to end a container's mounts. */
const FREE_WITHIN_MS = 200;
const POLL_MS = 5;
/** Behind the path of a file that was unlinked. */
const UNLINKED = ' (deleted)';

/** Names (`loop3`) of the devices in use, by the paths of their files. */
export function readLoopDevices(): ReadonlyMap<string, string> {
  const devices = new Map<string, string>();
  for (const name of readdirSync('/sys/block')) {
    const file = name.startsWith('loop') ? fileOf(name) : undefined;
    if (file !== undefined) devices.set(file, name);
  }
  return devices;
}

/**
 * By which name of a volume's file its loop device has it: one that follows from the inode, beside the file. It is there for a moment while
 * the volume is made.
 */
export const loopName = (file: string, { ino }: { readonly ino: number }) =>
  `${dirname(file)}/.loop-${ino}`;

/**
 * Resolves once the device does not have the file `name` (of {@link loopName}) any more. When somebody goes on to use what is on it, the file, which is open
 * as `fd`, is emptied: then the device has nothing left.
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
  try {
    const text = readFileSync(`/sys/block/${device}/loop/backing_file`, 'utf8').trimEnd();
    return text.endsWith(UNLINKED) ? text.slice(0, -UNLINKED.length) : text;
  } catch (error) {
    // It has no file, or is gone.
    if (['ENOENT', 'ENODEV', 'ENXIO'].includes(errnoCodeOf(error) ?? '')) return undefined;
    throw error;
  }
}
