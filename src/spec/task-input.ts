/** The shape of a task as users write it, in JSON or TypeScript: names as the command line's options, in camelCase. */

import * as z from 'zod/mini';
import { checkSafely } from '../core/check-safely.ts';
import { describeIssue } from './describe-issue.ts';
import { invalidField } from './invalid-field.ts';
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
  /** Between TERM and KILL: milliseconds, or text such as `10s`. */
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

const text = z.string().check(z.maxLength(BOUNDS.optionChars));
const quantity = z.union([text, z.number()]);
const flag = z.boolean();
const map = z.record(z.string(), z.string());
const listOf = <T extends z.ZodMiniType>(item: T, max: number) =>
  z.array(item).check(z.maxLength(max));

const makeMount = () =>
  z.union([
    text,
    z.discriminatedUnion('type', [
      z.strictObject({
        type: z.literal('bind'),
        source: text,
        target: text,
        readonly: z.optional(flag),
      }),
      z.strictObject({
        type: z.literal('tmpfs'),
        target: text,
        size: z.optional(quantity),
        mode: z.optional(text),
        exec: z.optional(flag),
      }),
    ]),
  ]);

/** What each field may be, if it is given; made when it first is: to make all schemas takes the executable longer than a task's other checks. */
const makers = {
  stack: () => text,
  command: () => listOf(z.string(), BOUNDS.commandElements),
  id: () => text,
  env: () => map,
  memory: () => quantity,
  cpus: () => quantity,
  pidsLimit: () => quantity,
  cpuShares: () => quantity,
  cpuTime: () => quantity,
  oomGroup: () => flag,
  deviceReadBps: () => listOf(text, BOUNDS.throttles),
  deviceWriteBps: () => listOf(text, BOUNDS.throttles),
  deviceReadIops: () => listOf(text, BOUNDS.throttles),
  deviceWriteIops: () => listOf(text, BOUNDS.throttles),
  tenant: () => text,
  ulimits: () => listOf(text, BOUNDS.ulimits),
  timeout: () => quantity,
  stopTimeout: () => quantity,
  outputLimit: () => quantity,
  disk: () => quantity,
  captureBytes: () => quantity,
  workdir: () => text,
  user: () => text,
  hostname: () => text,
  mounts: () => listOf(makeMount(), BOUNDS.mounts),
  volumes: () => listOf(text, BOUNDS.mounts),
  tmpfs: () => listOf(text, BOUNDS.tmpfs),
  readOnly: () => flag,
  network: () => text,
  capAdd: () => listOf(text, BOUNDS.capabilities),
  capDrop: () => listOf(text, BOUNDS.capabilities),
  securityOpt: () => listOf(text, BOUNDS.securityOpts),
  userns: () => text,
  pid: () => text,
  init: () => flag,
  labels: () => map,
  tty: () => flag,
  interactive: () => flag,
  runtime: () => text,
  bundle: () => text,
  code: () => text,
  payload: () => z.string(),
  payloadFile: () => text,
  configFile: () => text,
  keep: () => flag,
  remove: () => text,
} satisfies { [F in keyof TaskInput]-?: () => z.ZodMiniType<NonNullable<TaskInput[F]>> };

type Field = keyof typeof makers;

/** Every field a task may have. */
export const TASK_INPUT_FIELDS = Object.keys(makers) as readonly Field[];

const made = new Map<Field, z.ZodMiniType>();

function schemaOf(field: Field): z.ZodMiniType {
  const known = made.get(field);
  if (known !== undefined) return known;
  const schema = makers[field]();
  made.set(field, schema);
  return schema;
}

const absent = z.undefined();

/** The schema of a task that gives the fields that `input` gives. */
function taskSchema(input: unknown): z.ZodMiniType<TaskInput> {
  const shape: Partial<Record<Field, z.ZodMiniType>> = { stack: text };
  if (typeof input === 'object' && input !== null) {
    for (const field of TASK_INPUT_FIELDS) {
      if (field === 'stack' || !(field in input)) continue;
      const value: unknown = Reflect.get(input, field);
      shape[field] = value === undefined ? absent : schemaOf(field);
    }
  }
  return z.strictObject(shape) as z.ZodMiniType as z.ZodMiniType<TaskInput>;
}

/** Checks types, names and counts of a task as given. Throws ERR_STACKSHIM_SPEC_INVALID that names the first field at fault. */
export function parseTaskInput(input: unknown): TaskInput {
  const parsed = checkSafely(() => z.safeParse(taskSchema(input), input, { jitless: true }));
  if (!parsed?.success) {
    const { field, problem } = describeIssue(parsed?.error.issues[0], 'task');
    throw invalidField(field, problem);
  }
  refuseLostKeys(input, parsed.data, 'env');
  refuseLostKeys(input, parsed.data, 'labels');
  return parsed.data;
}

/** zod leaves a key `__proto__` out of a record without a word; here it is refused, as every key that cannot be used. */
function refuseLostKeys(input: unknown, parsed: TaskInput, field: 'env' | 'labels'): void {
  if (parsed[field] === undefined) return;
  const given = (input as TaskInput)[field];
  if (given !== undefined && Object.hasOwn(given, '__proto__')) {
    throw invalidField(field, 'a key that cannot be used', '__proto__');
  }
}
