/** Which loop device has which file: what the kernel says of it in /sys. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { errnoCodeOf } from '../../core/errors.ts';

/** A container that is being made at this moment has copies of the host's mounts, and a program may look at a new device. */
const FREE_WITHIN_MS = 10_000;
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

/** Resolves once the device does not have the file any more. Rejects when it still has it after seconds. */
export async function loopDeviceFreed(device: string, file: string): Promise<void> {
  const endsAt = performance.now() + FREE_WITHIN_MS;
  while (fileOf(device) === file) {
    if (performance.now() > endsAt) throw new Error(`free ${device} of ${file}: still in use`);
    await delay(POLL_MS);
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
