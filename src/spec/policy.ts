/** The operator's policy: defaults, maxima and permissions, and the checks of single values. docs/policy.md describes the file. */
import { DEFAULT_BIND_OWNER_ID } from '../core/host-ids.ts';
import { deniedField } from './field-errors.ts';
import { toLimits } from './limits.ts';
import { isAtOrBelow } from './parse-path.ts';
import type { TaskOrigin } from './task-input.ts';
import type {
  AdmittedLimits,
  Reserves,
  TaskLimits,
  TaskSpec,
  TenantTerms,
  Throttle,
  UlimitMaxima,
} from './task-spec.ts';

export const RUNTIMES: readonly string[] = ['runc', 'crun', 'runsc'];
/** The runtime of tasks that name none, and of builds. */
export const DEFAULT_RUNTIME = 'runc';
export const NETWORKS = ['none', 'host'] as const;
export const USERNS_MODES = ['auto', 'host'] as const;
export const PID_MODES = ['private', 'host'] as const;
export const SECCOMP_KINDS = ['bundle', 'file', 'unconfined'] as const;
export const TASK_ORIGINS: readonly TaskOrigin[] = ['caller', 'job'];

/** Every capability of Linux, capabilities(7), without its prefix. */
const CAPABILITY_NAMES = `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE
SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL
SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`;

/** `CAP_CHOWN` … in the kernel's order. */
export const CAPABILITIES: readonly string[] = CAPABILITY_NAMES.split(/\s+/).map(
  (name) => `CAP_${name}`,
);

/** What a task may ask for. An empty list allows nothing. */
export interface Permissions {
  /** Names of bundle templates. */
  readonly bundles: readonly string[];
  /** `runc`, `crun`, `runsc` or absolute paths. */
  readonly runtimes: readonly string[];
  /** Host folders: a bind's source must be one of them or below one. */
  readonly bindSources: readonly string[];
  /** Host folders: code, payload, config and seccomp files must be one of them or below one. */
  readonly inputs: readonly string[];
  /** Host folders: outputs must go to one of them or below one. */
  readonly outputs: readonly string[];
  /** Devices of the host that a task may ask for, or folders of devices. */
  readonly devices: readonly string[];
  readonly networks: readonly (typeof NETWORKS)[number][];
  readonly buildNetworks: readonly (typeof NETWORKS)[number][];
  readonly userns: readonly (typeof USERNS_MODES)[number][];
  readonly pid: readonly (typeof PID_MODES)[number][];
  /** Capabilities that may be added, with the `CAP_` prefix; `ALL` allows all. */
  readonly capAdd: readonly string[];
  /** Allowed seccomp profiles: the bundle's own, a file of the caller, none. */
  readonly seccomp: readonly (typeof SECCOMP_KINDS)[number][];
  /** True: a task may switch noNewPrivileges off. */
  readonly newPrivileges: boolean;
  /** Users of the host may execute further commands in tasks of these origins. */
  readonly exec: readonly TaskOrigin[];
}

/** `auto`: a project quota if the root folder's filesystem enforces them, else a scratch volume. */
export const DISK_MECHANISMS = ['auto', 'volume', 'sampling'] as const;

/** How much the reports of ended tasks may take. */
export interface ReportTerms {
  /** Most reports of ended tasks; the oldest are removed first. */
  readonly count: number;
  /** Most bytes of all reports of ended tasks together. */
  readonly bytes: number;
  /** How long after its end a task's report is kept. */
  readonly ageMs: number;
  /** Most bytes of one task's log; the oldest output is dropped first. */
  readonly logBytes: number;
}

/** The most that a job of a queue may bring or ask for. */
export interface JobTerms {
  readonly payloadBytes: number;
  readonly configBytes: number;
  readonly timeoutMs: number;
  /** Further attempts after failures of the task. */
  readonly retries: number;
}

export interface Policy {
  /** Limits for tasks that do not set them. */
  readonly defaults: AdmittedLimits;
  /** Only the host bounds an absent limit. */
  readonly maxima: TaskLimits;
  /** Limits on disks. `defaults` hold for disks that a task does not name, `maxima` for every task. */
  readonly throttles: {
    readonly defaults: readonly Throttle[];
    readonly maxima: readonly Throttle[];
  };
  /** By OCI name. An absent type is not bounded. */
  readonly ulimitMaxima: UlimitMaxima;
  readonly allow: Permissions;
  /** Most tasks of the machine at once. Default: the number of slots. */
  readonly slots?: number | undefined;
  readonly reserves: Reserves;
  readonly tenants: ReadonlyMap<string, TenantTerms>;
  /** The terms of tenants that are not in `tenants`. */
  readonly tenantDefault: TenantTerms;
  readonly disk: {
    /** What enforces a task's disk limit. */
    readonly mechanism: (typeof DISK_MECHANISMS)[number];
  };
  readonly reports: ReportTerms;
  readonly builds: {
    /** True: data from a queue may ask for a build step. */
    readonly jobs: boolean;
    /** The most bytes that the cache of build steps may take. */
    readonly cacheBytes: number;
    /** A cached build that no task has used for this long is removed. */
    readonly cacheAgeMs: number;
  };
  /** What a job of a queue may ask for. The maxima of every task apply, too. */
  readonly jobs: JobTerms;
  /** How much of a machine the jobs of its queue workers may reserve together: factors of memory, processors and free disk space. */
  readonly worker: {
    readonly memory: number;
    readonly cpus: number;
    readonly disk: number;
  };
  readonly binds: {
    /** User and group id on the host of files that tasks write into a bind whose source root owns. */
    readonly owner: number;
  };
}

/** The policy without a file: tasks have limits, but few restrictions, because the caller is root on its own machine. */
export const DEFAULT_POLICY: Policy = {
  defaults: toLimits(({ usual }) => usual) as AdmittedLimits,
  maxima: {},
  throttles: { defaults: [], maxima: [] },
  ulimitMaxima: {
    // With values above 0, a task would run before every other process of the host.
    RLIMIT_RTPRIO: 0,
    RLIMIT_NICE: 0,
    // The kernel charges locked pages of a layer to the task that read them first, which need not be the task that locks them.
    RLIMIT_MEMLOCK: 67_108_864,
    RLIMIT_MSGQUEUE: 819_200,
    RLIMIT_SIGPENDING: 65_536,
    RLIMIT_NOFILE: 1_048_576,
  },
  allow: {
    bundles: ['default'],
    runtimes: RUNTIMES,
    bindSources: ['/'],
    inputs: ['/'],
    outputs: ['/'],
    devices: [],
    networks: NETWORKS,
    buildNetworks: NETWORKS,
    userns: USERNS_MODES,
    pid: ['private'],
    capAdd: ['ALL'],
    seccomp: SECCOMP_KINDS,
    newPrivileges: true,
    exec: ['caller'],
  },
  reserves: {},
  tenants: new Map(),
  tenantDefault: { weight: 100 },
  disk: { mechanism: 'auto' },
  reports: { count: 1_000, bytes: 1024 ** 3, ageMs: 7 * 24 * 3_600_000, logBytes: 16_777_216 },
  builds: { jobs: false, cacheBytes: 10 * 1024 ** 3, cacheAgeMs: 30 * 24 * 3_600_000 },
  jobs: { payloadBytes: 65_536, configBytes: 65_536, timeoutMs: 3_600_000, retries: 10 },
  worker: { memory: 1, cpus: 2, disk: 1 },
  binds: { owner: DEFAULT_BIND_OWNER_ID },
};

/** Throws ERR_STACKSHIM_SPEC_DENIED unless the policy's list `rule` contains `asked`. */
export function requireAllowed(
  allow: Permissions,
  rule: Exclude<keyof Permissions, 'newPrivileges'>,
  asked: string,
  field: string,
): void {
  const allowed: readonly string[] = allow[rule];
  if (!allowed.includes(asked)) {
    throw deniedField({ field, asked, allowed, reason: allowsOnly(rule, allowed) });
  }
}

const allowsOnly = (rule: string, allowed: readonly string[]) =>
  `the policy's allow.${rule} ${allowed.length === 0 ? 'is empty' : `allows only ${allowed.join(', ')}`}`;

/**
 * Checks an absolute normalised path of the host against a list of folders: the source of a bind, a device, a folder for outputs, or a file
 * or directory that is copied for a task or whose content decides about it. Does not follow links: the code that uses the path checks their
 * targets again. Throws ERR_STACKSHIM_SPEC_DENIED.
 */
export function requireAllowedPath(
  allow: Permissions,
  rule: 'bindSources' | 'inputs' | 'outputs' | 'devices',
  path: string,
  field: string,
): void {
  if (allow[rule].some((folder) => isAtOrBelow(path, folder))) return;
  requireAllowed(allow, rule, path, field);
}

/** Checks whether a further command may run in a task of an origin; unknown counts as a job. Throws ERR_STACKSHIM_SPEC_DENIED. */
export function requireAllowedExec({ exec }: Permissions, origin: TaskOrigin = 'job'): void {
  if (exec.includes(origin)) return;
  throw deniedField({
    field: 'exec',
    asked: origin,
    shown: `in a task of origin ${origin}`,
    allowed: exec,
    reason: allowsOnly('exec', exec),
  });
}

export function admitBinds({ mounts }: TaskSpec, allow: Permissions): void {
  for (const { source } of mounts) requireAllowedPath(allow, 'bindSources', source, 'mounts');
}

export function admitDevices({ devices }: TaskSpec, allow: Permissions): void {
  for (const { source } of devices) requireAllowedPath(allow, 'devices', source, 'devices');
}

export function admitCapabilities({ capAdd }: TaskSpec, allow: Permissions): void {
  if (allow.capAdd.includes('ALL')) return;
  for (const capability of capAdd) requireAllowed(allow, 'capAdd', capability, 'capAdd');
}

export function admitSecurity({ seccomp, noNewPrivileges }: TaskSpec, allow: Permissions): void {
  const ofFile = seccomp === 'unconfined' ? 'unconfined' : 'file';
  requireAllowed(allow, 'seccomp', seccomp === undefined ? 'bundle' : ofFile, 'securityOpt');
  if (noNewPrivileges || allow.newPrivileges) return;
  throw deniedField({
    field: 'securityOpt',
    asked: 'no-new-privileges=false',
    allowed: 'no-new-privileges=true',
    reason: "the policy's allow.newPrivileges is false",
  });
}
