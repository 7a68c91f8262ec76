/** Builds the process of an OCI configuration: its command, environment, user and rights. Serialises configurations, whose process is special. */
import { posix } from 'node:path';
import { StackshimError } from '../core/errors.ts';
import type { TaskId } from '../core/ids.ts';
import type { IdRange } from '../core/mount.ts';
import { CAPABILITIES } from '../spec/policy.ts';
import type {
  CommandSpec,
  ContainerSpec,
  TaskSpec,
  Ulimit,
  UlimitMaxima,
} from '../spec/task-spec.ts';
import type { ImageConfig } from '../store/images/image.ts';
import {
  CONFIG_FILE,
  INIT_FILE,
  PAYLOAD_FILE,
  PROGRESS_DIR,
  PROGRESS_NAME,
  TASK_DIR,
} from './build-mounts.ts';
import type { BundleTemplate } from './bundle-template.ts';
import type { OciCapabilities, OciConfig, OciProcess, OciRlimit } from './oci-config.ts';

/**
 * The entrypoint followed by the command; each comes from the task, else from the image. The image's command belongs to the image's
 * entrypoint: a task with its own entrypoint gets only its own command, as in docker.
 * Throws ERR_STACKSHIM_SPEC_INVALID when the result is empty.
 */
export function resolveCommand(
  image: Pick<ImageConfig, 'entrypoint' | 'cmd'>,
  { command, entrypoint }: Pick<TaskSpec, 'command' | 'entrypoint'>,
): readonly string[] {
  const imageCmd = entrypoint === undefined ? image.cmd : [];
  const resolved = [
    ...(entrypoint ?? image.entrypoint),
    ...(command.length > 0 ? command : imageCmd),
  ];
  if (resolved[0] !== undefined && resolved[0] !== '') return resolved;
  const problem =
    entrypoint === undefined
      ? 'none was given, and the image has none'
      : 'none was given, and with an entrypoint of the task the image gives none';
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `command: ${problem}`, {
    hint: 'write the command after the stack',
    details: { field: 'command' },
  });
}

export interface WorkdirInput {
  /** The task's working directory, absolute. */
  readonly workdir?: string | undefined;
  readonly hasCode: boolean;
  readonly image: Pick<ImageConfig, 'workingDir'>;
}

/** The task's own working directory, else the code's, else the image's, else `/`. */
export function resolveWorkdir({ workdir, hasCode, image }: WorkdirInput): string {
  return workdir ?? (hasCode ? TASK_DIR : posix.resolve('/', image.workingDir));
}

/** The PATH if the image sets none; the same as docker's. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface TaskEnvInput {
  readonly imageEnv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly id: TaskId;
  readonly hostname: string;
  readonly hasCode: boolean;
  readonly hasPayload: boolean;
  readonly hasConfig: boolean;
  readonly hasProgress: boolean;
  readonly timeoutMs: number;
  readonly memoryBytes: number;
  readonly tty: boolean;
  /** The user's home folder; `/` when unknown. */
  readonly home?: string;
}

/**
 * `K=V` entries, each name once. Later ones win: PATH, HOSTNAME and TERM (with a tty); the image's; TASK_ID, TASK_DIR, PAYLOAD_FILE,
 * CONFIG_FILE, TASK_PROGRESS_FILE, TASK_TIMEOUT (whole seconds, rounded up), TASK_MEMORY (bytes); the caller's. HOME is the user's if none of them sets it.
 */
export function buildTaskEnv(input: TaskEnvInput): readonly string[] {
  const env = new Map([
    ['PATH', DEFAULT_PATH],
    ['HOSTNAME', input.hostname],
  ]);
  if (input.tty) env.set('TERM', 'xterm');
  for (const entry of input.imageEnv) {
    const at = entry.indexOf('=');
    // An image's entry with an empty name or a NUL cannot be passed to any program.
    if (at > 0 && !entry.includes('\0')) env.set(entry.slice(0, at), entry.slice(at + 1));
  }
  env.set('TASK_ID', input.id);
  // An image that sets one of these must not make a task believe that it has a file.
  setOrDelete(env, 'TASK_DIR', input.hasCode ? TASK_DIR : undefined);
  setOrDelete(env, 'PAYLOAD_FILE', input.hasPayload ? PAYLOAD_FILE : undefined);
  setOrDelete(env, 'CONFIG_FILE', input.hasConfig ? CONFIG_FILE : undefined);
  const progress = `${PROGRESS_DIR}/${PROGRESS_NAME}`;
  setOrDelete(env, 'TASK_PROGRESS_FILE', input.hasProgress ? progress : undefined);
  env.set('TASK_TIMEOUT', String(Math.ceil(input.timeoutMs / 1000)));
  env.set('TASK_MEMORY', String(input.memoryBytes));
  for (const [name, value] of Object.entries(input.env)) env.set(name, value);
  if (!env.has('HOME')) env.set('HOME', input.home ?? '/');
  return Array.from(env, ([name, value]) => `${name}=${value}`);
}

function setOrDelete(env: Map<string, string>, name: string, value: string | undefined): void {
  if (value === undefined) env.delete(name);
  else env.set(name, value);
}

export interface TaskUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

/** What every process of the container may do. */
type ProcessRights = Pick<
  ContainerSpec,
  'capAdd' | 'capDrop' | 'init' | 'noNewPrivileges' | 'ulimitMaxima'
>;

export interface ProcessInput {
  readonly template: BundleTemplate;
  readonly spec: ProcessRights & Pick<CommandSpec, 'tty' | 'ulimits'>;
  readonly user: TaskUser;
  /** At least one element; see `resolveCommand`. */
  readonly command: readonly string[];
  /** Final; see `buildTaskEnv`. */
  readonly env: readonly string[];
  /** Absolute. */
  readonly cwd: string;
  readonly ids: IdRange | null;
  /** `hardLimits` by OCI name; Infinity or absent: unlimited. `oomScoreAdj`: the value that the process would inherit. */
  readonly host: {
    readonly hardLimits: Readonly<Record<string, number>>;
    readonly oomScoreAdj: number;
  };
}

/** Builds the process. Throws ERR_STACKSHIM_SPEC_INVALID when the user's ids are not mapped into the task. */
export function buildProcess(input: ProcessInput): OciProcess {
  const { template, spec, user, command, env, cwd, ids, host } = input;
  const { capabilities, rlimits, noNewPrivileges } = template.config.process;
  if (ids !== null) requireMappedUser(user, ids);
  const bounding = resolveCapabilities(capabilities.bounding, {
    add: spec.capAdd,
    drop: spec.capDrop,
  });
  const { uid, gid, additionalGids } = user;
  return {
    terminal: spec.tty,
    user: { uid, gid, additionalGids },
    args: spec.init ? [INIT_FILE, '--', ...command] : command,
    env,
    cwd,
    capabilities: buildCapabilities(bounding, uid),
    rlimits: buildRlimits(rlimits, spec.ulimits, {
      hardLimits: host.hardLimits,
      maxima: spec.ulimitMaxima,
    }),
    noNewPrivileges: noNewPrivileges && spec.noNewPrivileges,
    // A service may be protected from the OOM killer; its tasks must not be. Lowering the value would need a right that it may lack.
    ...(host.oomScoreAdj < 0 ? { oomScoreAdj: 0 } : {}),
  };
}

/** Throws ERR_STACKSHIM_SPEC_INVALID for a user id or group id outside of the task's range. */
export function requireMappedUser({ uid, gid, additionalGids }: TaskUser, { size }: IdRange): void {
  const outside = [uid, gid, ...additionalGids].find((id) => id >= size);
  if (outside === undefined) return;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `user: id ${outside} is outside of the task's ids, which are below ${size}`,
    { details: { field: 'user', value: outside } },
  );
}

export interface RlimitBounds {
  /** Hard limits of this process, by OCI name; an absent limit does not bound. */
  readonly hardLimits: Readonly<Record<string, number>>;
  /** Maxima of the policy. */
  readonly maxima: UlimitMaxima;
}

/**
 * The template's limits, replaced by the task's, none above the host's hard limit: a runtime without CAP_SYS_RESOURCE
 * could not set it. A process inherits other limits from its caller; such a limit is set if the caller's is above the
 * policy's maximum.
 */
export function buildRlimits(
  base: readonly OciRlimit[],
  ulimits: readonly Ulimit[],
  { hardLimits, maxima }: RlimitBounds,
): readonly OciRlimit[] {
  const limits = new Map<string, OciRlimit>();
  for (const { type, soft, hard } of [...base, ...ulimits]) {
    const most = Math.min(hardLimits[type] ?? Infinity, maxima[type] ?? Infinity);
    limits.set(type, { type, soft: Math.min(soft, most), hard: Math.min(hard, most) });
  }
  for (const [type, most] of Object.entries(maxima)) {
    if (limits.has(type) || (hardLimits[type] ?? 0) <= most) continue;
    limits.set(type, { type, soft: most, hard: most });
  }
  return [...limits.values()];
}

export interface CapabilityChanges {
  /** `ALL` starts with every known capability. */
  readonly add: readonly string[];
  /** `ALL` starts with none. */
  readonly drop: readonly string[];
}

/** The bounding set: the template's list with docker's rules for `--cap-add` and `--cap-drop`, sorted. */
export function resolveCapabilities(
  base: readonly string[],
  { add, drop }: CapabilityChanges,
): readonly string[] {
  const start = drop.includes('ALL') ? [] : base;
  const kept = new Set(add.includes('ALL') ? CAPABILITIES : [...start, ...add]);
  for (const capability of drop) kept.delete(capability);
  return [...kept].sort();
}

/** A user other than root has no effective capability; the bounding set only limits what a file could give it. None is inheritable or ambient. */
export function buildCapabilities(bounding: readonly string[], uid: number): OciCapabilities {
  const held = uid === 0 ? bounding : [];
  return { bounding, permitted: held, effective: held };
}

/** RLIM_INFINITY, which a JavaScript number cannot represent exactly. */
const UNLIMITED = '18446744073709551615';
// No argument, variable or path can contain a NUL, so no other string of a configuration equals this one.
const MARK = '\0unlimited';

/** Serialises a configuration; Infinity in a resource limit of the process becomes RLIM_INFINITY. */
export const toConfigJson = (config: OciConfig): string =>
  unmark(JSON.stringify({ ...config, process: marked(config.process) }));

/** Serialises a process alone, in the same way. */
export const toProcessJson = (process: OciProcess): string =>
  unmark(JSON.stringify(marked(process)));

/** Marks infinite limits. To look at every value of a configuration takes several times as long as to serialise it. */
function marked(process: OciProcess): object {
  const mark = (limit: number) => (limit === Infinity ? MARK : limit);
  const rlimits = process.rlimits.map(({ type, soft, hard }) => ({
    type,
    soft: mark(soft),
    hard: mark(hard),
  }));
  return { ...process, rlimits };
}

const unmark = (json: string) => json.replaceAll(JSON.stringify(MARK), UNLIMITED);
