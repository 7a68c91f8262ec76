/** Which loop device has which file: what the kernel says of it in /sys. */
import { ftruncateSync, readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { unlessMissing } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import type { Fd } from '../../sys/system.ts';

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
  // A device that has no file, or is gone, gives one of these errors.
  return unlessMissing(() => {
    const text = readFileSync(`/sys/block/${device}/loop/backing_file`, 'utf8').trimEnd();
    return text.endsWith(UNLINKED) ? text.slice(0, -UNLINKED.length) : text;
  }, ['ENOENT', 'ENODEV', 'ENXIO']);
}
