/** The shape of a task as users write it, in JSON or TypeScript: names as the command line's options, in camelCase. */
import {
  allOptional,
  FieldFault,
  flag,
  isObject,
  listOf,
  mapOf,
  numberOr,
  objectOf,
  oneOf,
  optional,
  type Reader,
  text,
  textUpTo,
} from '../core/read-fields.ts';
import { readInput } from './read-input.ts';
import { SPEC_BOUNDS as BOUNDS } from './spec-bounds.ts';

/** A bind of a host file or folder, or a tmpfs, at `target`. */
export type MountInput =
  | {
      readonly type: 'bind';
      readonly source: string;
      readonly target: string;
      readonly readonly?: boolean | undefined;
    }
  | {
      readonly type: 'tmpfs';
      readonly target: string;
      readonly size?: string | number | undefined;
      readonly mode?: string | undefined;
      readonly exec?: boolean | undefined;
    };

/** What to run, and how. Only `stack` must be given; docs/task-spec.md has units, bounds and defaults. */
export interface TaskInput {
  /** `name`, `name@rev:N` or `name@sha256:…`. */
  readonly stack: string;
  /** Absent or empty: what the image says. */
  readonly command?: readonly string[] | undefined;
  /** Instead of the image's entrypoint, and without the image's command: a program, or a list. Empty: none. */
  readonly entrypoint?: string | readonly string[] | undefined;
  /** The task's name; random when absent. */
  readonly id?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Bytes, or text such as `256m`. */
  readonly memory?: string | number | undefined;
  readonly cpus?: string | number | undefined;
  readonly pidsLimit?: string | number | undefined;
  /** Weight beside other tasks, 2 to 262144; 1024 is usual. */
  readonly cpuShares?: string | number | undefined;
  /** Processor time of all processes: milliseconds, or text such as `30s`; passing it ends the task. */
  readonly cpuTime?: string | number | undefined;
  /** When one process is killed for memory, all are. */
  readonly oomGroup?: boolean | undefined;
  /** `PATH:RATE`, a whole disk of the host and bytes each second: `/dev/sda:50m`. */
  readonly deviceReadBps?: readonly string[] | undefined;
  readonly deviceWriteBps?: readonly string[] | undefined;
  /** `PATH:RATE`, operations each second. */
  readonly deviceReadIops?: readonly string[] | undefined;
  readonly deviceWriteIops?: readonly string[] | undefined;
  /** Whose task it is: what the policy says of this tenant holds for its tasks together. */
  readonly tenant?: string | undefined;
  /** `nofile=1024:2048`. */
  readonly ulimits?: readonly string[] | undefined;
  /** Wall time: milliseconds, or text such as `60s`. */
  readonly timeout?: string | number | undefined;
  /** What a stop begins with: `SIGTERM`, `QUIT`, `9`. Absent: what the image says. */
  readonly stopSignal?: string | undefined;
  /** Between the stop signal and KILL: milliseconds, or text such as `10s`. */
  readonly stopTimeout?: string | number | undefined;
  /** Bytes that its root filesystem and `/task` may take, what it is given to read included. */
  readonly disk?: string | number | undefined;
  /** Bytes of both streams together; passing it ends the task. */
  readonly outputLimit?: string | number | undefined;
  /** Bytes of each stream that a capture keeps. */
  readonly captureBytes?: string | number | undefined;
  readonly workdir?: string | undefined;
  /** `name|uid[:group|gid]`. */
  readonly user?: string | undefined;
  readonly hostname?: string | undefined;
  /** Objects, or text as docker's `--mount` takes it. */
  readonly mounts?: readonly (string | MountInput)[] | undefined;
  /** `HOST:TASK[:ro]`. */
  readonly volumes?: readonly string[] | undefined;
  /** `TARGET[:size=16m,mode=1777]`. */
  readonly tmpfs?: readonly string[] | undefined;
  /** `HOST[:TASK][:rwm]`: devices of the host. */
  readonly devices?: readonly string[] | undefined;
  readonly readOnly?: boolean | undefined;
  readonly network?: string | undefined;
  readonly capAdd?: readonly string[] | undefined;
  readonly capDrop?: readonly string[] | undefined;
  /** `seccomp=FILE`, `seccomp=unconfined`, `no-new-privileges=false`. */
  readonly securityOpt?: readonly string[] | undefined;
  readonly userns?: string | undefined;
  /** `private`, or `host` together with `userns: 'host'`. */
  readonly pid?: string | undefined;
  readonly init?: boolean | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly tty?: boolean | undefined;
  readonly interactive?: boolean | undefined;
  /** `runc`, `crun`, `runsc` or an absolute path. */
  readonly runtime?: string | undefined;
  /** Name of a bundle template. */
  readonly bundle?: string | undefined;
  /** A directory, `.tar.gz` or `.zip` on the host, mounted at `/task`. */
  readonly code?: string | undefined;
  /** Text of the payload; excludes `payloadFile`. */
  readonly payload?: string | undefined;
  readonly payloadFile?: string | undefined;
  readonly configFile?: string | undefined;
  /** Leave the ended task's files in place. */
  readonly keep?: boolean | undefined;
  readonly remove?: string | undefined;
}

type BindInput = Extract<MountInput, { readonly type: 'bind' }>;
type TmpfsInput = Extract<MountInput, { readonly type: 'tmpfs' }>;

const option = textUpTo(BOUNDS.optionChars);
const quantity = numberOr(option);
const options = (most: number) => listOf(option, most);

const bind = objectOf<BindInput>({
  type: oneOf('bind'),
  source: option,
  target: option,
  readonly: optional(flag),
});
const tmpfs = objectOf<TmpfsInput>({
  type: oneOf('tmpfs'),
  target: option,
  size: optional(quantity),
  mode: optional(option),
  exec: optional(flag),
});

const mount: Reader<string | MountInput> = (value, field) => {
  if (typeof value === 'string') return option(value, field);
  if (!isObject(value)) throw new FieldFault(field, 'not a string and not an object');
  const type: unknown = Reflect.get(value, 'type');
  if (type === 'bind') return bind(value, field);
  if (type === 'tmpfs') return tmpfs(value, field);
  throw new FieldFault(`${field}.type`, 'not "bind" or "tmpfs"');
};

const words = listOf(text, BOUNDS.commandElements);

const entrypoint: Reader<string | readonly string[]> = (value, field) =>
  typeof value === 'string' ? text(value, field) : words(value, field);

const readers = {
  stack: option,
  ...allOptional({
    command: words,
    entrypoint,
    id: option,
    env: mapOf(text),
    memory: quantity,
    cpus: quantity,
    pidsLimit: quantity,
    cpuShares: quantity,
    cpuTime: quantity,
    oomGroup: flag,
    deviceReadBps: options(BOUNDS.throttles),
    deviceWriteBps: options(BOUNDS.throttles),
    deviceReadIops: options(BOUNDS.throttles),
    deviceWriteIops: options(BOUNDS.throttles),
    tenant: option,
    ulimits: options(BOUNDS.ulimits),
    timeout: quantity,
    stopTimeout: quantity,
    stopSignal: option,
    outputLimit: quantity,
    disk: quantity,
    captureBytes: quantity,
    workdir: option,
    user: option,
    hostname: option,
    mounts: listOf(mount, BOUNDS.mounts),
    volumes: options(BOUNDS.mounts),
    tmpfs: options(BOUNDS.tmpfs),
    devices: options(BOUNDS.devices),
    readOnly: flag,
    network: option,
    capAdd: options(BOUNDS.capabilities),
    capDrop: options(BOUNDS.capabilities),
    securityOpt: options(BOUNDS.securityOpts),
    userns: option,
    pid: option,
    init: flag,
    labels: mapOf(text),
    tty: flag,
    interactive: flag,
    runtime: option,
    bundle: option,
    code: option,
    payload: text,
    payloadFile: option,
    configFile: option,
    keep: flag,
    remove: option,
  }),
};

/** Every field a task may have. */
export const TASK_INPUT_FIELDS = Object.keys(readers) as readonly (keyof TaskInput)[];

const task = objectOf<TaskInput>(readers);

/** Checks types, names and counts of a task as given. Throws ERR_STACKSHIM_SPEC_INVALID that names the first field at fault. */
export const parseTaskInput = (input: unknown): TaskInput => readInput(task, input, 'task');
