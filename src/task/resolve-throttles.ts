/** Turns the paths of a task's disk throttles into device numbers. Loaded only for tasks with throttles. */
import { existsSync, statSync } from 'node:fs';
import type { CgroupDriver } from '../cgroup/cgroup-driver.ts';
import { StackshimError } from '../core/errors.ts';
import type { DeviceThrottle } from '../oci/build-config.ts';
import { THROTTLE_FIELDS } from '../spec/limits.ts';
import type { Throttle } from '../spec/task-spec.ts';
import { toDeviceNumbers } from '../sys/linux-files.ts';
import { readNamed } from './resolve-inputs.ts';

/**
 * Resolves the throttles. If several of one kind are for one device, the lowest applies, whichever
 * path names the device. Throws ERR_STACKSHIM_HOST_UNSUPPORTED if cgroups cannot limit disks,
 * ERR_STACKSHIM_INPUT_NOT_FOUND, and ERR_STACKSHIM_SPEC_INVALID for a path that is not a whole disk.
 */
export function resolveThrottles(
  throttles: readonly Throttle[],
  { controllers, version }: Pick<CgroupDriver, 'controllers' | 'version'>,
): readonly DeviceThrottle[] {
  const needed = version === 1 ? 'blkio' : 'io';
  if (!controllers.includes(needed)) {
    const message = `limit disks: this host has no cgroup controller ${needed}`;
    throw new StackshimError('ERR_STACKSHIM_HOST_UNSUPPORTED', message);
  }
  const found = new Map<string, DeviceThrottle>();
  for (const throttle of throttles) {
    const { kind, perSecond } = throttle;
    const device = findDisk(throttle);
    const key = `${kind} ${device.major}:${device.minor}`;
    const least = Math.min(perSecond, found.get(key)?.perSecond ?? perSecond);
    found.set(key, { kind, ...device, perSecond: least });
  }
  return [...found.values()];
}

function findDisk({ kind, path }: Throttle): { readonly major: number; readonly minor: number } {
  const field = THROTTLE_FIELDS.find(([known]) => known === kind)?.[1] ?? kind;
  const stats = readNamed(field, path, () => statSync(path));
  const { major, minor } = toDeviceNumbers(stats.rdev);
  if (stats.isBlockDevice() && !existsSync(`/sys/dev/block/${major}:${minor}/partition`)) {
    return { major, minor };
  }
  const problem = stats.isBlockDevice() ? 'a partition; name its disk' : 'not a block device';
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `${field}: ${path}: ${problem}`, {
    details: { field, value: path },
  });
}
