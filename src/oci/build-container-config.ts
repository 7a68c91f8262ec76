/** Everything of an OCI configuration except the process. Nothing here depends on the command, so a container can be made before the command is known. */

import { StackshimError } from '../core/errors.ts';
import type { TaskId } from '../core/ids.ts';
import type { IdRange, PreparedBind, TaskDevice } from '../core/mount.ts';
import type { SeccompProfile } from '../spec/seccomp-profile.ts';
import type { ContainerSpec } from '../spec/task-spec.ts';
import { resolveCapabilities } from './build-capabilities.ts';
import { buildMounts, type OrderedMounts } from './build-mounts.ts';
import { buildResources, type DeviceThrottle } from './build-resources.ts';
import { buildSeccomp } from './build-seccomp.ts';
import type { BundleTemplate } from './bundle-template.ts';
import type { OciContainerConfig, OciDeviceRule, OciIdMapping, OciSeccomp } from './oci-config.ts';

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
  readonly cgroupVersion?: 1 | 2;
  /** Sysctls of the task's network namespace; a task on the host's network gets none. */
  readonly netSysctl?: Readonly<Record<string, string>>;
}

/** A configuration that lacks its process, and the mounts that come with that. */
export interface ContainerConfig extends Omit<OciContainerConfig, 'mounts'> {
  readonly mounts: OrderedMounts;
}

/** Builds the container's part of a configuration. Pure; a missing `seccompProfile` or `initBinary` is a defect of the caller. */
export function buildContainerConfig(input: ContainerInput): ContainerConfig {
  const { template, spec, id, rootfs, ids, cgroupsPath, binds, initBinary, sysfs } = input;
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
