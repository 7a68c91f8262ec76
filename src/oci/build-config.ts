/** Builds OCI configurations: of a container whose command is not known yet, and of a container with its command. */
import { StackshimError } from '../core/errors.ts';
import type { TaskId } from '../core/ids.ts';
import type { IdRange, PreparedBind, TaskDevice } from '../core/mount.ts';
import type { SeccompProfile } from '../spec/seccomp-profile.ts';
import type { ContainerSpec, ThrottleKind } from '../spec/task-spec.ts';
import { canRefuseStamps, type HostFacts } from '../sys/host-facts.ts';
import { buildMounts, type OrderedMounts, shallowFirst } from './build-mounts.ts';
import { resolveCapabilities } from './build-process.ts';
import { buildSeccomp } from './build-seccomp.ts';
import type { BundleTemplate } from './bundle-template.ts';
import type {
  OciBlockIo,
  OciConfig,
  OciContainerConfig,
  OciDeviceRule,
  OciIdMapping,
  OciMount,
  OciProcess,
  OciResources,
  OciSeccomp,
  OciThrottle,
} from './oci-config.ts';

export interface ContainerInput {
  readonly template: BundleTemplate;
  readonly spec: ContainerSpec;
  readonly id: TaskId;
  /** Absolute path of the mounted root filesystem, without `..`. */
  readonly rootfs: string;
  /** Null: the host's user namespace. */
  readonly ids: IdRange | null;
  /** Absolute below each cgroup hierarchy's root. */
  readonly cgroupsPath: string;
  readonly binds: readonly PreparedBind[];
  /** All devices that the task may open, including those of the template. */
  readonly devices: readonly TaskDevice[];
  /** Whether the runtime keeps the mount flags of bind sources or sets them again. */
  readonly locksBinds: boolean;
  /** The parsed content of the file that `spec.seccomp` names. Required if it names a file. */
  readonly seccompProfile?: SeccompProfile | undefined;
  /** Host path of a static init program. Required with `spec.init`. */
  readonly initBinary?: string | undefined;
  /** Host path of a prepared `/dev`. Default: the template's, which the runtime fills. */
  readonly dev?: string | undefined;
  /** Host path of a sysfs with nothing mounted below it, for a task with a user namespace on the host's network. */
  readonly sysfs?: string | undefined;
  readonly host: {
    readonly architecture: string;
    /** Paths that are hidden in addition to those of the template. */
    readonly thermalPaths: readonly string[];
  };
  /** The spec's limits on disks, each with its device. */
  readonly throttles?: readonly DeviceThrottle[];
  /** Required with cpu shares and `oomGroup`. */
  readonly cgroupVersion?: 1 | 2 | undefined;
  /** Sysctls of the task's network namespace; a task on the host's network gets none. */
  readonly netSysctl?: Readonly<Record<string, string>>;
}

/** A configuration that lacks its process, and the mounts that come with that. */
export interface ContainerConfig extends Omit<OciContainerConfig, 'mounts'> {
  readonly mounts: OrderedMounts;
}

/** Builds the container's part of a configuration. Pure; a missing `seccompProfile` or `initBinary` is a defect of the caller. */
export function buildContainerConfig(input: ContainerInput): ContainerConfig {
  const { template, spec, id, rootfs, ids, cgroupsPath, binds, initBinary, dev, sysfs } = input;
  const { devices, throttles = [], cgroupVersion, locksBinds, netSysctl } = input;
  const { ociVersion, mounts, linux } = template.config;
  if (spec.init && initBinary === undefined) throw missingInput('initBinary');
  const seccomp = seccompOf(input);
  return {
    ociVersion,
    root: { path: rootfs, readonly: spec.readOnly },
    hostname: spec.hostname ?? id,
    mounts: buildMounts(mounts, {
      spec,
      binds,
      hasUserNamespace: ids !== null,
      locksBinds,
      ...(spec.init && initBinary !== undefined ? { initBinary } : {}),
      dev,
      sysfs,
    }),
    linux: {
      namespaces: linux.namespaces.filter(
        ({ type }) =>
          !(type === 'user' && ids === null) &&
          !(type === 'network' && spec.network === 'host') &&
          !(type === 'pid' && spec.pid === 'host'),
      ),
      ...(ids === null ? {} : { uidMappings: toMappings(ids), gidMappings: toMappings(ids) }),
      cgroupsPath,
      resources: buildResources({
        spec,
        devices: [...linux.resources.devices, ...devices.map(toDeviceRule)],
        throttles,
        cgroupVersion,
      }),
      ...(seccomp === undefined ? {} : { seccomp }),
      ...(hasEntries(netSysctl) && spec.network !== 'host' ? { sysctl: netSysctl } : {}),
      maskedPaths: [...linux.maskedPaths, ...input.host.thermalPaths],
      readonlyPaths: linux.readonlyPaths,
    },
  };
}

/**
 * The most groups that an IPv4 socket may join, and the most sources for each group: the kernel charges this memory to no cgroup. The usual
 * limits are 20 and 10: with these, 12,000 sockets of a task with 32 MiB held 169 MiB.
 */
const GROUPS = { 'net.ipv4.igmp_max_memberships': '5', 'net.ipv4.igmp_max_msf': '1' } as const;

/** Kernel settings that a runtime makes in a task's own network namespace, if the task's sockets belong to the host's kernel. */
export const netSysctl = (
  host: Pick<HostFacts, 'kernelVersion' | 'boundsGroups'>,
): Readonly<Record<string, string>> => ({
  ...(canRefuseStamps(host) ? { 'net.core.tstamp_allow_data': '0' } : {}),
  ...(host.boundsGroups ? GROUPS : {}),
});

function seccompOf({
  template,
  spec,
  seccompProfile,
  host,
}: ContainerInput): OciSeccomp | undefined {
  if (spec.seccomp === 'unconfined') return undefined;
  const profile = spec.seccomp === undefined ? template.seccomp : seccompProfile;
  if (profile === undefined) throw missingInput('seccompProfile');
  const silent = new Set(template.silentCapabilities);
  const { bounding } = template.config.process.capabilities;
  const capabilities = resolveCapabilities(
    bounding.filter((name) => !silent.has(name)),
    { add: spec.capAdd, drop: spec.capDrop },
  );
  return buildSeccomp(profile, { architecture: host.architecture, capabilities });
}

const hasEntries = (
  values: Readonly<Record<string, string>> | undefined,
): values is Readonly<Record<string, string>> =>
  values !== undefined && Object.keys(values).length > 0;

const toDeviceRule = ({ type, major, minor, access }: TaskDevice): OciDeviceRule => ({
  allow: true,
  type,
  major,
  minor,
  access,
});

function toMappings({ base, size }: IdRange): readonly OciIdMapping[] {
  return [{ containerID: 0, hostID: base, size }];
}

function missingInput(name: string): StackshimError {
  return new StackshimError('ERR_STACKSHIM_INTERNAL', `build container config: ${name} is missing`);
}

export interface CommandConfig {
  readonly process: OciProcess;
  /** What is mounted for the command alone. */
  readonly mounts: readonly OciMount[];
}

/** Puts a command into a container's configuration. Pure. */
export function joinConfig(container: ContainerConfig, command: CommandConfig): OciConfig {
  const { base, asked } = container.mounts;
  return {
    ...container,
    mounts: [...base, ...shallowFirst([...asked, ...command.mounts])],
    process: command.process,
  };
}

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
function buildResources(input: ResourcesInput): OciResources {
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
