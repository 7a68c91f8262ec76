/** The part of an OCI runtime configuration that stackshim writes (runtime-spec: config.md, config-linux.md). */
import type { SeccompProfile, SeccompRule } from '../spec/seccomp-profile.ts';

export interface OciUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

export interface OciCapabilities {
  readonly bounding: readonly string[];
  readonly permitted: readonly string[];
  readonly effective: readonly string[];
}

export interface OciRlimit {
  readonly type: string;
  /** Infinity is written as RLIM_INFINITY: see `toConfigJson`. */
  readonly soft: number;
  readonly hard: number;
}

export interface OciProcess {
  readonly terminal: boolean;
  /** The terminal's first size. Absent: the process that holds the terminal's other side sets the size. */
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly user: OciUser;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: OciCapabilities;
  readonly rlimits: readonly OciRlimit[];
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdj?: number | undefined;
}

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface OciIdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** Without a type, the rule applies to every device; without a number, to every device of its type. */
export interface OciDeviceRule {
  readonly allow: boolean;
  readonly type?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly access: string;
}

export interface OciResources {
  readonly devices: readonly OciDeviceRule[];
  /** `swap` is memory plus swap: the same number as `limit` means no swap. */
  readonly memory: { readonly limit: number; readonly swap: number };
  readonly cpu: {
    readonly shares?: number | undefined;
    readonly quota: number;
    readonly period: number;
  };
  readonly pids: { readonly limit: number };
  readonly blockIO?: OciBlockIo | undefined;
  /** File names of cgroup v2, with the values to write. */
  readonly unified?: Readonly<Record<string, string>> | undefined;
}

/** `rate` is bytes or operations per second. */
export interface OciThrottle {
  readonly major: number;
  readonly minor: number;
  readonly rate: number;
}

export interface OciBlockIo {
  readonly throttleReadBpsDevice: readonly OciThrottle[];
  readonly throttleWriteBpsDevice: readonly OciThrottle[];
  readonly throttleReadIOPSDevice: readonly OciThrottle[];
  readonly throttleWriteIOPSDevice: readonly OciThrottle[];
}

export type OciSeccompRule = Pick<SeccompRule, 'names' | 'action' | 'errnoRet' | 'args'>;

export interface OciSeccomp extends Omit<SeccompProfile, 'syscalls'> {
  readonly architectures: readonly string[];
  readonly syscalls: readonly OciSeccompRule[];
}

export interface OciLinux {
  readonly namespaces: readonly { readonly type: string }[];
  readonly uidMappings?: readonly OciIdMapping[] | undefined;
  readonly gidMappings?: readonly OciIdMapping[] | undefined;
  readonly cgroupsPath: string;
  readonly resources: OciResources;
  readonly seccomp?: OciSeccomp | undefined;
  readonly sysctl?: Readonly<Record<string, string>> | undefined;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
}

/** A configuration without the process: everything a container needs before its command is known. */
export interface OciContainerConfig {
  readonly ociVersion: string;
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname: string;
  readonly mounts: readonly OciMount[];
  readonly linux: OciLinux;
}

export interface OciConfig extends OciContainerConfig {
  readonly process: OciProcess;
}
