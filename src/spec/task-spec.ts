/** A task as the pipeline sees it: parsed, with every quantity in its base unit and every default filled in. */
import type { ImageDigest, PackageName, StackName, TaskId, TenantName } from '../core/ids.ts';
import type { COMMAND_OPTIONS } from './options/command-options.ts';
import type { LIMIT_OPTIONS } from './options/limit-options.ts';

/** `NAME`, `NAME@rev:N` or `NAME@sha256:…`. Without a revision and an image: the current revision. */
export interface Reference<N> {
  readonly name: N;
  readonly revision?: number;
  readonly image?: ImageDigest;
}

export type StackReference = Reference<StackName>;
export type PackageReference = Reference<PackageName>;

export type CodeSource =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'package'; readonly reference: PackageReference };

type LimitRows = typeof LIMIT_OPTIONS;
type Usual = {
  [F in keyof LimitRows]: LimitRows[F] extends { readonly usual: number }
    ? LimitRows[F]['limit']
    : never;
}[keyof LimitRows];

/** In base units: bytes, milliseconds. */
export type TaskLimits = {
  readonly [F in keyof LimitRows as LimitRows[F]['limit']]?: number;
};

/** Limits after admission: every limit that a task always has is set. */
export type AdmittedLimits = TaskLimits & Required<Pick<TaskLimits, Usual>>;

export type ThrottleKind = 'readBps' | 'writeBps' | 'readIops' | 'writeIops';

/** A limit on a task's transfers to or from one disk. */
export interface Throttle {
  readonly kind: ThrottleKind;
  /** A block device of the host. */
  readonly path: string;
  /** Bytes or operations. */
  readonly perSecond: number;
}

export interface Ulimit {
  /** OCI name: `RLIMIT_NOFILE`. Infinity in `soft` and `hard` means unlimited. */
  readonly type: string;
  readonly soft: number;
  readonly hard: number;
}

/** By OCI name; Infinity: not bounded. */
export type UlimitMaxima = Readonly<Record<string, number>>;

export interface BindRequest {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

export interface TmpfsRequest {
  readonly target: string;
  readonly sizeBytes?: number | undefined;
  /** Octal mode as given: `1777`. */
  readonly mode?: string | undefined;
  /** False: mounted `noexec`, as in docker. */
  readonly exec: boolean;
}

/** A device of the host that a task may open. */
export interface DeviceRequest {
  /** Absolute path on the host. */
  readonly source: string;
  /** Path in the task, below `/dev`. */
  readonly target: string;
  /** Letters of `rwm`. */
  readonly access: string;
}

export type FileInput =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'file'; readonly path: string };

/** Files to take out of a task at its end. */
export interface OutputRequest {
  /** As the caller wrote it. */
  readonly source: string;
  /** A path of the host; `-`: the stream of the task's outputs. */
  readonly destination: string;
}

export interface TaskSpec {
  /** Absent: the pipeline draws a random id. */
  readonly id?: TaskId;
  /** Absent: the code package decides. */
  readonly stack?: StackReference;
  /** Empty: the image's command; none if the task has its own `entrypoint`. */
  readonly command: readonly string[];
  /** Replaces the image's entrypoint; the image's command is then ignored. Empty: no entrypoint. */
  readonly entrypoint?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workdir?: string;
  /** `name|uid[:group|gid]`. */
  readonly user?: string;
  readonly hostname?: string;
  readonly tenant?: TenantName;
  readonly limits: TaskLimits;
  readonly throttles: readonly Throttle[];
  /** True: if the kernel kills one process for lack of memory, the whole task ends. */
  readonly oomGroup: boolean;
  readonly ulimits: readonly Ulimit[];
  readonly mounts: readonly BindRequest[];
  readonly tmpfs: readonly TmpfsRequest[];
  readonly devices: readonly DeviceRequest[];
  readonly readOnly: boolean;
  readonly network: 'none' | 'host';
  /** Names with the `CAP_` prefix. */
  readonly capAdd: readonly string[];
  /** `ALL` drops the whole list. */
  readonly capDrop: readonly string[];
  /** A profile file, or `unconfined`. Absent: the bundle's own profile. */
  readonly seccomp?: string | undefined;
  readonly noNewPrivileges: boolean;
  readonly userns: 'auto' | 'host';
  readonly pid: 'private' | 'host';
  readonly init: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly tty: boolean;
  readonly interactive: boolean;
  /** Number of the first signal of a stop. Absent: the image's, else TERM. */
  readonly stopSignal?: number;
  /** `runc`, `crun`, `runsc` or an absolute path. */
  readonly runtime: string;
  /** Name of a bundle template. Absent: the image's label, else `default`. */
  readonly bundle?: string;
  readonly code?: CodeSource;
  /** The command of the build step. Absent: `/task` is the unchanged code. */
  readonly build?: readonly string[];
  readonly buildNetwork: 'none' | 'host';
  readonly payload?: FileInput;
  readonly config?: FileInput;
  /** How the command gets the paths of its inputs as arguments. */
  readonly args: 'none' | 'names' | 'iron';
  /** The id of the task's schedule. */
  readonly scheduleId?: string;
  readonly outputs: readonly OutputRequest[];
  /** True: a missing or incomplete output is an error of the task. */
  readonly outputRequired: boolean;
  readonly keep: boolean;
  /** True: output and result are kept beyond the task's end. */
  readonly log: boolean;
  readonly remove: 'sync' | 'async';
  /** Bytes of each stream that a capture keeps: half from the start, half from the end. */
  readonly captureBytes: number;
}

/** What a task asks of the host in addition to its image. */
export type HostAccess = Pick<
  TaskSpec,
  | ('mounts' | 'tmpfs' | 'devices' | 'throttles' | 'outputs')
  | ('capAdd' | 'capDrop' | 'seccomp' | 'noNewPrivileges')
>;

/** A spec that the policy has admitted: every limit is set. */
export interface AdmittedTaskSpec extends TaskSpec {
  readonly limits: AdmittedLimits;
  /** Maxima of the task's resource limits. */
  readonly ulimitMaxima: UlimitMaxima;
  readonly admission: Admission;
}

/** The limits of a container. All others are the command's: they can change while the container runs. */
type ContainerLimit = 'memoryBytes' | 'cpus' | 'pids' | 'cpuShares' | 'diskBytes';

/** The fields of the command. A container can be made before any of them is known. */
type CommandField =
  | Exclude<keyof typeof COMMAND_OPTIONS, 'stack' | 'payloadFile' | 'configFile'>
  | 'config'
  | 'ulimits'
  | 'labels'
  | 'stopSignal'
  | 'outputs'
  | 'outputRequired'
  | 'keep'
  | 'log'
  | 'remove'
  | 'captureBytes';

/** The part of a spec that makes a container. */
export type ContainerSpec = Omit<AdmittedTaskSpec, CommandField | 'limits'> & {
  readonly limits: Pick<AdmittedLimits, ContainerLimit>;
};

/** The part of a spec that makes a command in a container. */
export type CommandSpec = Pick<AdmittedTaskSpec, Exclude<CommandField, 'code'>> & {
  /** A directory, `.tar.gz` or `.zip` on the host. */
  readonly code?: string;
  /** The only files of the code that the build step sees. Absent: all of the code. */
  readonly buildFiles?: readonly string[];
  readonly limits: Omit<AdmittedLimits, ContainerLimit>;
};

/** Conditions that depend on other tasks, checked when the task is about to start. */
export interface Admission {
  /** Most tasks of the machine at once. Default: the number of slots. */
  readonly slots?: number | undefined;
  readonly reserves: Reserves;
  /** Present if the task has a tenant. */
  readonly terms?: TenantTerms | undefined;
}

/** What must stay free for the host. */
export interface Reserves {
  readonly memoryBytes?: number;
  /** On the filesystem of the root folder. */
  readonly diskBytes?: number;
}

/** What the tasks of one tenant may use together. */
export interface TenantTerms {
  /** Against other tenants: 1 to 10000, 100 is usual. */
  readonly weight: number;
  readonly cpus?: number;
  readonly memoryBytes?: number;
  /** Most tasks at once. */
  readonly maxTasks?: number;
}
