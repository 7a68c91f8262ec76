/** Finds out from /sys which loop device has which file. */
import { ftruncateSync, readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { unlessMissing } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import type { Fd } from '../../sys/system.ts';

/** A program may look at a new device for a moment, and the kernel needs time to end a container's mounts. */
const FREE_WITHIN_MS = 200;
const POLL_MS = 5;
/** Follows the path of an unlinked file. */
const UNLINKED = ' (deleted)';

/** Names (`loop3`) of the loop devices in use, by the path of their file. */
export function readLoopDevices(): ReadonlyMap<string, string> {
  const devices = new Map<string, string>();
  for (const name of readdirSync('/sys/block')) {
    const file = name.startsWith('loop') ? fileOf(name) : undefined;
    if (file !== undefined) devices.set(file, name);
  }
  return devices;
}

/**
 * The name under which a volume's loop device opens the file: derived from the inode, in the same folder. It exists only for a moment while
 * the volume is made.
 */
export const loopName = (file: string, { ino }: { readonly ino: number }) =>
  `${dirname(file)}/.loop-${ino}`;

/**
 * Resolves once the device does not have the file `name` (of {@link loopName}) any more. If a process goes on using the filesystem on it,
 * the file, which is open as `fd`, is emptied, so that the device holds no space.
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
  // These errors mean that the device has no file or is gone.
  return unlessMissing(() => {
    const text = readFileSync(`/sys/block/${device}/loop/backing_file`, 'utf8').trimEnd();
    return text.endsWith(UNLINKED) ? text.slice(0, -UNLINKED.length) : text;
  }, ['ENOENT', 'ENODEV', 'ENXIO']);
}
