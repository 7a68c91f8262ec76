/** Builds OCI configurations: a container's, before its command is known, and the complete one with the command. */
import { StackshimError } from '../core/errors.ts';
import type { TaskId } from '../core/ids.ts';
import type { IdRange, PreparedBind, TaskDevice } from '../core/mount.ts';
import { withoutUndefined } from '../core/read-fields.ts';
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
  /** Absolute path below each cgroup hierarchy's root. */
  readonly cgroupsPath: string;
  readonly binds: readonly PreparedBind[];
  /** All devices that the task may open, including the template's. */
  readonly devices: readonly TaskDevice[];
  /** True: in a user namespace, the runtime keeps the mount flags of bind sources. False: it sets them again. */
  readonly locksBinds: boolean;
  /** The parsed file that `spec.seccomp` names. Required if it names a file. */
  readonly seccompProfile?: SeccompProfile | undefined;
  /** Host path of a static init program. Required with `spec.init`. */
  readonly initBinary?: string | undefined;
  /** Host path of a prepared `/dev`. Default: the template's, which the runtime fills. */
  readonly dev?: string | undefined;
  /** Host path of a sysfs with nothing mounted below it, for a task with a user namespace on the host's network. */
  readonly sysfs?: string | undefined;
  readonly host: {
    readonly architecture: string;
    /** Paths to hide in addition to the template's. */
    readonly thermalPaths: readonly string[];
  };
  /** The spec's disk throttles, each with its device. */
  readonly throttles?: readonly DeviceThrottle[];
  /** Required with cpu shares and `oomGroup`. */
  readonly cgroupVersion?: 1 | 2 | undefined;
  /** Sysctls of the task's network namespace. Ignored on the host's network. */
  readonly netSysctl?: Readonly<Record<string, string>>;
}

/** A configuration without its process and without the mounts that come with the command. */
export interface ContainerConfig extends Omit<OciContainerConfig, 'mounts'> {
  readonly mounts: OrderedMounts;
}

/** Builds the container's part of a configuration. Pure. A missing `seccompProfile` or `initBinary` is a defect of the caller. */
export function buildContainerConfig(input: ContainerInput): ContainerConfig {
  const { template, spec, id, rootfs, ids, cgroupsPath, initBinary, netSysctl = {} } = input;
  const { ociVersion, mounts, linux } = template.config;
  if (spec.init && initBinary === undefined) throw missingInput('initBinary');
  const mappings =
    ids === null ? undefined : [{ containerID: 0, hostID: ids.base, size: ids.size }];
  return {
    ociVersion,
    root: { path: rootfs, readonly: spec.readOnly },
    hostname: spec.hostname ?? id,
    mounts: buildMounts(mounts, {
      ...input,
      hasUserNamespace: ids !== null,
      initBinary: spec.init ? initBinary : undefined,
    }),
    linux: {
      namespaces: linux.namespaces.filter(
        ({ type }) =>
          !(type === 'user' && ids === null) &&
          !(type === 'network' && spec.network === 'host') &&
          !(type === 'pid' && spec.pid === 'host'),
      ),
      uidMappings: mappings,
      gidMappings: mappings,
      cgroupsPath,
      resources: buildResources(input),
      seccomp: seccompOf(input),
      sysctl: spec.network === 'host' ? undefined : unlessEmpty(netSysctl),
      maskedPaths: [...linux.maskedPaths, ...input.host.thermalPaths],
      readonlyPaths: linux.readonlyPaths,
    },
  };
}

/**
 * Limits how many groups an IPv4 socket may join, and how many sources for each group: the kernel charges this memory to no cgroup. With
 * the usual limits, 20 and 10, 12,000 sockets of a task with 32 MiB held 169 MiB.
 */
const GROUPS = { 'net.ipv4.igmp_max_memberships': '5', 'net.ipv4.igmp_max_msf': '1' } as const;

/** Sysctls that the runtime sets in a task's own network namespace, if the host's kernel serves the task's sockets. */
export const netSysctl = (
  host: Pick<HostFacts, 'kernelVersion' | 'boundsGroups'>,
): Readonly<Record<string, string>> => ({
  ...(canRefuseStamps(host) ? { 'net.core.tstamp_allow_data': '0' } : {}),
  ...(host.boundsGroups ? GROUPS : {}),
});

function seccompOf(input: ContainerInput): OciSeccomp | undefined {
  const { template, spec, seccompProfile, host } = input;
  if (spec.seccomp === 'unconfined') return undefined;
  const profile = spec.seccomp === undefined ? template.seccomp : seccompProfile;
  if (profile === undefined) throw missingInput('seccompProfile');
  const names = template.config.process.capabilities.bounding.filter(
    (name) => !template.silentCapabilities.includes(name),
  );
  const capabilities = resolveCapabilities(names, spec);
  return buildSeccomp(profile, { architecture: host.architecture, capabilities });
}

const unlessEmpty = (values: Readonly<Record<string, string>>) =>
  Object.keys(values).length === 0 ? undefined : values;

function missingInput(name: string): StackshimError {
  return new StackshimError('ERR_STACKSHIM_INTERNAL', `build container config: ${name} is missing`);
}

/** Adds a command and the mounts that come with it to a container's configuration. Pure. */
export function joinConfig(
  container: ContainerConfig,
  process: OciProcess,
  mounts: readonly OciMount[],
): OciConfig {
  const { base, asked } = container.mounts;
  return { ...container, mounts: [...base, ...shallowFirst([...asked, ...mounts])], process };
}

const CPU_PERIOD_US = 100_000;
/** The smallest quota that the kernel accepts: cgroup-v2.rst, cpu.max. */
const CPU_QUOTA_MIN_US = 1000;
/** Usual weight of v1; smallest, usual and largest weight of v2 (cgroup-v2.rst, cpu.weight). */
const USUAL_SHARES = 1024;
const WEIGHT = { min: 1, usual: 100, max: 10_000 };

/** A {@link Throttle} of the spec, with its device. */
export interface DeviceThrottle {
  readonly kind: ThrottleKind;
  readonly major: number;
  readonly minor: number;
  readonly perSecond: number;
}

/** Limits memory (without swap), cpu (a share of a period), pids and disks. A missing `cgroupVersion` is a defect of the caller. */
function buildResources(input: ContainerInput): OciResources {
  const { template, spec, devices, throttles = [], cgroupVersion } = input;
  const { memoryBytes, cpus, pids, cpuShares } = spec.limits;
  if (cgroupVersion === undefined && (cpuShares !== undefined || spec.oomGroup)) {
    throw new StackshimError('ERR_STACKSHIM_INTERNAL', 'build resources: no cgroup version');
  }
  const isV2 = cgroupVersion === 2;
  const allowed = devices.map(({ type, major, minor, access }) => ({
    allow: true,
    type,
    major,
    minor,
    access,
  }));
  return {
    devices: [...template.config.linux.resources.devices, ...allowed],
    memory: { limit: memoryBytes, swap: memoryBytes },
    cpu: {
      shares: isV2 ? undefined : cpuShares,
      quota: Math.max(CPU_QUOTA_MIN_US, Math.round(cpus * CPU_PERIOD_US)),
      period: CPU_PERIOD_US,
    },
    pids: { limit: pids },
    blockIO: throttles.length === 0 ? undefined : buildBlockIo(throttles),
    unified: isV2 ? unlessEmpty(buildUnified(spec)) : undefined,
  };
}

/** The settings that only v2 has, and cpu shares: runtimes convert shares differently, and some turn the usual shares into a low weight. */
const buildUnified = ({ oomGroup, limits: { cpuShares } }: ContainerSpec) =>
  withoutUndefined({
    'memory.oom.group': oomGroup ? '1' : undefined,
    'cpu.weight': cpuShares === undefined ? undefined : toWeight(cpuShares),
  });

function toWeight(shares: number): string {
  const weight = Math.round((shares / USUAL_SHARES) * WEIGHT.usual);
  return String(Math.min(WEIGHT.max, Math.max(WEIGHT.min, weight)));
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
