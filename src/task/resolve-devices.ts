/** Turns the host paths of a task's devices into device numbers. Loaded only for tasks with devices. */
import type { Stats } from 'node:fs';
import type { TaskDevice } from '../core/mount.ts';
import { driverOf } from '../runtime/drivers/driver-of.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { invalidField } from '../spec/field-errors.ts';
import { type Policy, requireAllowedPath } from '../spec/policy.ts';
import type { DeviceRequest } from '../spec/task-spec.ts';
import { toDeviceNumbers } from '../sys/linux-files.ts';
import { lookUpPath } from '../sys/paths.ts';
import { readNamed } from './resolve-inputs.ts';

const FIELD = 'devices';

export interface DevicesContext {
  readonly policy: Pick<Policy, 'allow'>;
  readonly runtime: Pick<Runtime, 'kind'>;
}

/**
 * Resolves the devices; applies the policy to the targets of links, too. Throws ERR_STACKSHIM_SPEC_DENIED, ERR_STACKSHIM_INPUT_NOT_FOUND,
 * and ERR_STACKSHIM_SPEC_INVALID for a path that is not a device, or a runtime without support for devices.
 */
export function resolveDevices(
  devices: readonly DeviceRequest[],
  { policy, runtime }: DevicesContext,
): readonly TaskDevice[] {
  if (!driverOf(runtime).givesDevices) {
    throw invalidField(FIELD, `${runtime.kind} does not support devices of the host`);
  }
  return devices.map(({ source, target, access }) => {
    const { path, stats } = readNamed(FIELD, source, () => lookUpPath(source));
    requireAllowedPath(policy.allow, 'devices', path, 'devices');
    return { path: target, type: typeOf(path, stats), ...toDeviceNumbers(stats.rdev), access };
  });
}

function typeOf(path: string, stats: Stats): TaskDevice['type'] {
  if (stats.isCharacterDevice()) return 'c';
  if (stats.isBlockDevice()) return 'b';
  throw invalidField(FIELD, `${path}: not a device`);
}
