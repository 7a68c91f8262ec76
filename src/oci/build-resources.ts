/** Limits of a task -> cgroup resources. */
import { StackshimError } from '../core/errors.ts';
import type { ContainerSpec, ThrottleKind } from '../spec/task-spec.ts';
import type { OciBlockIo, OciDeviceRule, OciResources, OciThrottle } from './oci-config.ts';

const CPU_PERIOD_US = 100_000;
/** The kernel accepts no smaller quota: cgroup-v2.rst, cpu.max. */
const CPU_QUOTA_MIN_US = 1000;
/** The usual weight of v1; usual, smallest and largest weight of v2 (cgroup-v2.rst, cpu.weight). */
const USUAL_SHARES = 1024;
const WEIGHT = { min: 1, usual: 100, max: 10_000 };

/** A {@link Throttle} of the spec with its device. */
export interface DeviceThrottle {
  readonly kind: ThrottleKind;
  readonly major: number;
  readonly minor: number;
  readonly perSecond: number;
}

export interface ResourcesInput {
  readonly spec: Pick<ContainerSpec, 'limits' | 'oomGroup'>;
  /** Later entries win. */
  readonly devices: readonly OciDeviceRule[];
  readonly throttles: readonly DeviceThrottle[];
  /** Required with cpu shares and `oomGroup`. */
  readonly cgroupVersion?: 1 | 2 | undefined;
}

/** Memory without swap, cpu as a share of a period, pids, disks; a missing `cgroupVersion` is a defect of the caller. */
export function buildResources(input: ResourcesInput): OciResources {
  const { spec, devices, throttles } = input;
  const { memoryBytes, cpus, pids, cpuShares } = spec.limits;
  const version = versionFor(input);
  const unified = version === 2 ? buildUnified(input) : {};
  return {
    devices,
    memory: { limit: memoryBytes, swap: memoryBytes },
    cpu: {
      ...(cpuShares === undefined || version === 2 ? {} : { shares: cpuShares }),
      quota: Math.max(CPU_QUOTA_MIN_US, Math.round(cpus * CPU_PERIOD_US)),
      period: CPU_PERIOD_US,
    },
    pids: { limit: pids },
    ...(throttles.length === 0 ? {} : { blockIO: buildBlockIo(throttles) }),
    ...(Object.keys(unified).length === 0 ? {} : { unified }),
  };
}

function versionFor({ spec, cgroupVersion }: ResourcesInput): 1 | 2 | undefined {
  const needed = spec.limits.cpuShares !== undefined || spec.oomGroup;
  if (needed && cgroupVersion === undefined) {
    throw new StackshimError('ERR_STACKSHIM_INTERNAL', 'build resources: no cgroup version');
  }
  return cgroupVersion;
}

/** Settings that only v2 has, and cpu shares: runtimes convert shares to different weights, and some turn the usual shares into a low weight. */
function buildUnified({ spec }: ResourcesInput): Readonly<Record<string, string>> {
  const { cpuShares } = spec.limits;
  return {
    ...(spec.oomGroup ? { 'memory.oom.group': '1' } : {}),
    ...(cpuShares === undefined ? {} : { 'cpu.weight': String(toWeight(cpuShares)) }),
  };
}

function toWeight(shares: number): number {
  const weight = Math.round((shares / USUAL_SHARES) * WEIGHT.usual);
  return Math.min(WEIGHT.max, Math.max(WEIGHT.min, weight));
}

function buildBlockIo(throttles: readonly DeviceThrottle[]): OciBlockIo {
  const of = (kind: ThrottleKind): readonly OciThrottle[] =>
    throttles
      .filter((throttle) => throttle.kind === kind)
      .map(({ major, minor, perSecond }) => ({ major, minor, rate: perSecond }));
  return {
    throttleReadBpsDevice: of('readBps'),
    throttleWriteBpsDevice: of('writeBps'),
    throttleReadIOPSDevice: of('readIops'),
    throttleWriteIOPSDevice: of('writeIops'),
  };
}
