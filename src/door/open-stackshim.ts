/**
 * The one door to an installation, for the library and the command line. It resolves the installation's folders once. A plain run loads only
 * the code that runs a task; other members load their code when they are called.
 */
import { hasCode, StackshimError } from '../core/errors.ts';
import { type LayoutOptions, layoutFrom } from '../core/layout.ts';
import type { Policy } from '../spec/policy.ts';
import type { TaskInput } from '../spec/task-input.ts';
import type { CallerOptions, EndedTask, OwnTaskOptions } from '../task/caller-options.ts';
import type { ExecResult, OwnExecOptions } from '../task/exec/exec-in-task.ts';
import { type Installation, openInstallation, requireRoot } from '../task/installation.ts';
import type { TaskResult } from '../task/result.ts';
import { runTaskAndLeave } from '../task/run-task.ts';
import type { Code } from './code.ts';
import type { KnownNames } from './known-names.ts';
import type { OtherMembers } from './open-members.ts';
import type { Opener } from './open-stacks.ts';
import type { Stacks } from './stacks.ts';
import type { RunTaskOptions, Stackshim } from './stackshim.ts';

const PLACE_OPTIONS: Readonly<Record<keyof LayoutOptions, true>> = {
  root: true,
  run: true,
  policy: true,
};
const TASK_OPTIONS: Readonly<Record<keyof CallerOptions, true>> = {
  onEvent: true,
  stdin: true,
  stdout: true,
  stderr: true,
  capture: true,
  origin: true,
  fields: true,
  outputStream: true,
  terminal: true,
  code: true,
  payload: true,
  config: true,
  signal: true,
  killSignal: true,
  deadline: true,
};

/** Members whose code is loaded at the first call of one of them. */
const OTHER_MEMBERS: Readonly<Record<keyof OtherMembers, true>> = {
  start: true,
  list: true,
  get: true,
  wait: true,
  kill: true,
  stats: true,
  processes: true,
  pause: true,
  unpause: true,
  update: true,
  events: true,
  copyFrom: true,
  copyTo: true,
  logs: true,
  inspect: true,
  remove: true,
  listEnded: true,
  detach: true,
  reap: true,
  watchOwners: true,
  startGuard: true,
  verify: true,
  migrate: true,
  gc: true,
  df: true,
  doctor: true,
  knownNames: true,
  policy: true,
  site: true,
};
const STACK_MEMBERS: Readonly<Record<keyof Stacks, true>> = {
  list: true,
  show: true,
  history: true,
  graph: true,
  diff: true,
  build: true,
  planBuilds: true,
  buildAll: true,
  update: true,
  importFrom: true,
  exportTo: true,
  push: true,
  pull: true,
  commit: true,
  rollback: true,
  remove: true,
  releases: true,
  stacksOfRelease: true,
  applyRelease: true,
  rollbackRelease: true,
  save: true,
  load: true,
  heldLayers: true,
};

const CODE_MEMBERS: Readonly<Record<keyof Code, true>> = {
  add: true,
  resolve: true,
  list: true,
  show: true,
  history: true,
  diff: true,
  push: true,
  pull: true,
  rollback: true,
  remove: true,
};

/** The door with members that only the command line and the queue worker need. */
export interface Door extends Stackshim {
  exec(id: string, command: readonly string[], options?: OwnExecOptions): Promise<ExecResult>;
  /** Like `run`, for a caller that does the asynchronous removal itself. */
  runAndLeave(input: TaskInput, options: OwnTaskOptions): Promise<EndedTask>;
  /** Names on this host, for shell completion; any user may ask. */
  knownNames(): Promise<KnownNames>;
  /** The policy as its file is now. Rejects with ERR_STACKSHIM_POLICY_INVALID. */
  policy(): Promise<Policy>;
  /** What a queue worker must know of the machine and the folders. Needs root. */
  site(): Promise<WorkerSite>;
}

export interface WorkerSite {
  /** The root folder, with links resolved. */
  readonly root: string;
  /** The folder in which the workers of this machine publish what they reserve. */
  readonly workersDir: string;
  readonly memoryBytes: number;
  readonly cpus: number;
}

/**
 * Opens the installation that `options` name; absent options come from the environment. Reads and changes nothing: the first call of a member
 * resolves the folders for all later calls. Throws ERR_STACKSHIM_SPEC_INVALID for an unknown option.
 */
export function openStackshim(options: LayoutOptions = {}): Stackshim {
  refuseUnknown(options, PLACE_OPTIONS);
  return openDoor(options);
}

/** `openStackshim(options).run(input, options)`, for a program that only runs tasks. */
export async function runTask(input: TaskInput, given: RunTaskOptions = {}): Promise<TaskResult> {
  refuseUnknown(given, { ...PLACE_OPTIONS, ...TASK_OPTIONS });
  const { root, run, policy, ...options } = given;
  return await openDoor({ root, run, policy }).run(input, options);
}

export function openDoor(options: LayoutOptions = {}): Door {
  const named = layoutFrom(options, process.env);
  let opened: Installation | undefined;
  const open: Opener = Object.assign(() => (opened ??= openInstallation(named)), {
    asRoot(operation: string) {
      requireRoot(operation);
      return open();
    },
  });
  let members: Promise<OtherMembers> | undefined;
  const others = loadedWhenCalled(OTHER_MEMBERS, async () => {
    members ??= import('./open-members.ts').then((loaded) => loaded.openMembers(open, named));
    return await members;
  });
  return {
    ...others,
    runAndLeave: (input, own) => runSought(open, input, own),
    async run(input, options = {}) {
      refuseUnknown(options, TASK_OPTIONS);
      const { result, remove } = await runSought(open, input, options);
      // Not awaited: never rejects; the `removed` event reports the outcome.
      if (input.remove === 'async') void remove();
      return result;
    },
    async exec(id, command, options = {}) {
      const { execCommand } = await import('./exec-command.ts');
      return await execCommand(open, id, { ...options, command });
    },
    async start(input, options = {}) {
      refuseUnknown(options, TASK_OPTIONS);
      return await others.start(input, options);
    },
    stacks: loadedWhenCalled(STACK_MEMBERS, async () =>
      (await import('./open-stacks.ts')).openStacks(open),
    ),
    code: loadedWhenCalled(CODE_MEMBERS, async () =>
      (await import('./open-code.ts')).openCode(open),
    ),
  };
}

/** Runs a task. If its stack is not found, tries again: the task may name an image by a content digest that is not known yet. */
async function runSought(
  open: Opener,
  input: TaskInput,
  options: OwnTaskOptions,
): Promise<EndedTask> {
  const run = () => runTaskAndLeave(open(), input, options);
  try {
    return await run();
  } catch (error) {
    // Only a digest is worth a search: a task with an unknown name must not be planned again.
    if (!hasCode(error, 'ERR_STACKSHIM_STACK_NOT_FOUND') || error.details['asked'] === undefined)
      throw error;
    const { withContentSought } = await import('./with-content-sought.ts');
    return await withContentSought(open, options, run);
  }
}

/** An object with these asynchronous functions; each calls the function of the same name in the object that `load` resolves to. */
function loadedWhenCalled<T extends object>(
  names: Readonly<Record<keyof T, true>>,
  load: () => Promise<T>,
): T {
  type Member = (...args: readonly unknown[]) => unknown;
  const memberOf =
    (name: string): Member =>
    async (...args) => {
      const loaded: object = await load();
      const member: Member = Reflect.get(loaded, name);
      return await member(...args);
    };
  return Object.fromEntries(Object.keys(names).map((name) => [name, memberOf(name)])) as T;
}

/** Refuses unknown options: a misspelt `policy` or `origin` would silently give a task more than it may have. */
function refuseUnknown(options: object, known: Readonly<Record<string, true>>): void {
  for (const [field, value] of Object.entries(options)) {
    if (value === undefined || Object.hasOwn(known, field)) continue;
    const message = `read options: unknown option ${JSON.stringify(field)}`;
    const hint = `options are ${Object.keys(known).join(', ')}`;
    throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', message, { hint, details: { field } });
  }
}
