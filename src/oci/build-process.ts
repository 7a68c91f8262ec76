/** Builds the process of an OCI configuration (command, environment, user, rights), and serialises configurations. */
import { posix } from 'node:path';
import { StackshimError } from '../core/errors.ts';
import type { TaskId } from '../core/ids.ts';
import type { IdRange } from '../core/mount.ts';
import { invalidInput } from '../spec/field-errors.ts';
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
import type { OciCapabilities, OciConfig, OciProcess, OciRlimit, OciUser } from './oci-config.ts';

/**
 * Returns the entrypoint followed by the command; each is the task's, else the image's. The image's command belongs to the image's
 * entrypoint: as in docker, a task with its own entrypoint gets only its own command. Throws ERR_STACKSHIM_SPEC_INVALID if the result is
 * empty.
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
  throw invalidInput('command', `command: ${problem}`, 'write the command after the stack');
}

/** The working directory: the task's, else the code's, else the image's, else `/`. */
export const resolveWorkdir = (
  workdir: string | undefined,
  hasCode: boolean,
  image: Pick<ImageConfig, 'workingDir'>,
): string => workdir ?? (hasCode ? TASK_DIR : posix.resolve('/', image.workingDir));

/** The PATH if the image sets none. Same as docker's. */
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
  /** The user's home directory; `/` if unknown. */
  readonly home?: string | undefined;
}

/**
 * Returns `K=V` entries, each name once. Later sources win: PATH, HOSTNAME and TERM (with a tty); the image's; TASK_ID, TASK_DIR,
 * PAYLOAD_FILE, CONFIG_FILE, TASK_PROGRESS_FILE, TASK_TIMEOUT (whole seconds, rounded up), TASK_MEMORY (bytes); the caller's. HOME is the
 * user's if none of them sets it.
 */
export function buildTaskEnv(input: TaskEnvInput): readonly string[] {
  const env = new Map([
    ['PATH', DEFAULT_PATH],
    ['HOSTNAME', input.hostname],
  ]);
  if (input.tty) env.set('TERM', 'xterm');
  for (const entry of input.imageEnv) {
    const at = entry.indexOf('=');
    // No program can receive an image's entry with an empty name or a NUL.
    if (at > 0 && !entry.includes('\0')) env.set(entry.slice(0, at), entry.slice(at + 1));
  }
  const own = {
    TASK_ID: input.id,
    TASK_DIR: input.hasCode ? TASK_DIR : undefined,
    PAYLOAD_FILE: input.hasPayload ? PAYLOAD_FILE : undefined,
    CONFIG_FILE: input.hasConfig ? CONFIG_FILE : undefined,
    TASK_PROGRESS_FILE: input.hasProgress ? `${PROGRESS_DIR}/${PROGRESS_NAME}` : undefined,
    TASK_TIMEOUT: String(Math.ceil(input.timeoutMs / 1000)),
    TASK_MEMORY: String(input.memoryBytes),
    ...input.env,
  };
  for (const [name, value] of Object.entries<string | undefined>(own)) {
    // A variable of the image must not make the task believe that it has this file.
    if (value === undefined) env.delete(name);
    else env.set(name, value);
  }
  if (!env.has('HOME')) env.set('HOME', input.home ?? '/');
  return Array.from(env, ([name, value]) => `${name}=${value}`);
}

export interface ProcessInput {
  readonly template: BundleTemplate;
  readonly spec: Pick<CommandSpec, 'tty' | 'ulimits'> &
    Pick<ContainerSpec, 'capAdd' | 'capDrop' | 'init' | 'noNewPrivileges' | 'ulimitMaxima'>;
  readonly user: OciUser;
  /** At least one element: see `resolveCommand`. */
  readonly command: readonly string[];
  /** Complete: see `buildTaskEnv`. */
  readonly env: readonly string[];
  /** Absolute path. */
  readonly cwd: string;
  readonly ids: IdRange | null;
  /** `hardLimits` by OCI name: Infinity is unlimited, absent bounds nothing. `oomScoreAdj`: the value that the process would inherit. */
  readonly host: {
    readonly hardLimits: Readonly<Record<string, number>>;
    readonly oomScoreAdj: number;
  };
}

/** Builds the process. Throws ERR_STACKSHIM_SPEC_INVALID if the user's ids are not mapped into the task. */
export function buildProcess(input: ProcessInput): OciProcess {
  const { template, spec, user, command, env, cwd, ids, host } = input;
  const { capabilities, rlimits, noNewPrivileges } = template.config.process;
  if (ids !== null) requireMappedUser(user, ids);
  const bounding = resolveCapabilities(capabilities.bounding, spec);
  const { uid, gid, additionalGids } = user;
  return {
    terminal: spec.tty,
    user: { uid, gid, additionalGids },
    args: spec.init ? [INIT_FILE, '--', ...command] : command,
    env,
    cwd,
    capabilities: buildCapabilities(bounding, uid),
    rlimits: buildRlimits(rlimits, spec.ulimits, host.hardLimits, spec.ulimitMaxima),
    noNewPrivileges: noNewPrivileges && spec.noNewPrivileges,
    // A service may be protected from the OOM killer; its tasks must not be. Do not lower the value: the service may lack that right.
    oomScoreAdj: host.oomScoreAdj < 0 ? 0 : undefined,
  };
}

/** Throws ERR_STACKSHIM_SPEC_INVALID for a user id or group id outside the task's range. */
export function requireMappedUser({ uid, gid, additionalGids }: OciUser, { size }: IdRange): void {
  const outside = [uid, gid, ...additionalGids].find((id) => id >= size);
  if (outside === undefined) return;
  const text = `user: id ${outside} is outside of the task's ids, which are below ${size}`;
  const details = { field: 'user', value: outside };
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', text, { details });
}

/**
 * Returns the template's limits, replaced by the task's. None exceeds the policy's maximum or the host's hard limit, which a runtime
 * without CAP_SYS_RESOURCE could not raise. The process inherits all other limits from its caller; those above the policy's maximum are
 * lowered to it.
 *
 * @param hardLimits This process's hard limits, by OCI name. An absent limit bounds nothing and is not inherited.
 * @param maxima The policy's maxima.
 */
export function buildRlimits(
  base: readonly OciRlimit[],
  ulimits: readonly Ulimit[],
  hardLimits: Readonly<Record<string, number>>,
  maxima: UlimitMaxima,
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

/** The bounding set, sorted: the template's, with docker's `--cap-add` (`ALL`: start with all known) and `--cap-drop` (`ALL`: start with none). */
export function resolveCapabilities(
  base: readonly string[],
  { capAdd, capDrop }: Pick<ContainerSpec, 'capAdd' | 'capDrop'>,
): readonly string[] {
  const start = capDrop.includes('ALL') ? [] : base;
  const kept = new Set(capAdd.includes('ALL') ? CAPABILITIES : [...start, ...capAdd]);
  for (const capability of capDrop) kept.delete(capability);
  return [...kept].sort();
}

/** Users other than root get no effective capabilities, only the bounding set, which limits what a file grants. None is inheritable or ambient. */
export function buildCapabilities(bounding: readonly string[], uid: number): OciCapabilities {
  const held = uid === 0 ? bounding : [];
  return { bounding, permitted: held, effective: held };
}

/** RLIM_INFINITY, which a JavaScript number cannot represent exactly. */
const UNLIMITED = '18446744073709551615';
// No argument, variable or path contains a NUL, so no other string of a configuration equals this one.
const MARK = '\0unlimited';

/** Serialises a configuration. Infinity in a resource limit becomes RLIM_INFINITY. */
export const toConfigJson = (config: OciConfig): string =>
  unmark(JSON.stringify({ ...config, process: marked(config.process) }));

/** Serialises a process alone. Infinity in a resource limit becomes RLIM_INFINITY. */
export const toProcessJson = (process: OciProcess): string =>
  unmark(JSON.stringify(marked(process)));

/** Marks infinite limits. A JSON replacer would visit every value, which takes several times as long as serialising. */
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
