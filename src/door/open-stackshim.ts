/**
 * The one door to an installation, of the library and of the command line. Its folders are resolved here, once. A plain run loads
 * nothing but the way of a task; the code of the other members is loaded when they are called.
 */
import { StackshimError } from '../core/errors.ts';
import { parseTaskId, type TaskId } from '../core/ids.ts';
import { type LayoutOptions, layoutFrom } from '../core/layout.ts';
import { parseDuration } from '../spec/parse-duration.ts';
import { SPEC_BOUNDS } from '../spec/spec-bounds.ts';
import type { TaskInput } from '../spec/task-input.ts';
import { unknownDigestOf } from '../stacks/resolve-stack.ts';
import { type CallerStops, signalsOf } from '../task/ending/caller-stops.ts';
import { type Installation, openInstallation } from '../task/installation.ts';
import type { TaskResult } from '../task/result.ts';
import {
  type CallerOptions,
  type EndedTask,
  type OwnTaskOptions,
  runTaskAndLeave,
} from '../task/run-task.ts';
import type { KnownNames } from './known-names.ts';
import { type Opener, openStacks, toStackName } from './open-stacks.ts';
import type { RunTaskOptions, Stackshim } from './stackshim.ts';
import type { StartedTask } from './start-task.ts';

const OWNER_ENDS_WITHIN_MS = 30_000;
const USUAL_STOP_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_BOUNDS = { min: 0, max: SPEC_BOUNDS.stopTimeoutMsMax };

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
  terminal: true,
  signal: true,
  killSignal: true,
  deadline: true,
};

/** The door with what the command line alone needs. */
export interface Door extends Stackshim {
  /** `run` for a caller that carries out an asynchronous removal itself. */
  runAndLeave(input: TaskInput, options: OwnTaskOptions): Promise<EndedTask>;
  /** Names on this host, for a shell that completes a command line; any user may ask. */
  knownNames(): Promise<KnownNames>;
}

/**
 * The installation that `options`, else the environment, names. Has no effect and looks at nothing: the first member that is called
 * resolves the folders, for all that follow. Throws ERR_STACKSHIM_SPEC_INVALID for an option that there is not.
 */
export function openStackshim(options: LayoutOptions = {}): Stackshim {
  refuseUnknown(options, PLACE_OPTIONS);
  return openDoor(options);
}

/** `openStackshim(options).run(input, options)`, for a program that runs tasks and does nothing else. */
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
  return {
    runAndLeave: (input, own) =>
      withContentSought(open, own, () => runTaskAndLeave(open(), input, own)),
    ...taskMembers(open),
    stacks: openStacks(open),
    ...storageMembers(open),
    async doctor() {
      // Judges the folders as they are named.
      const { diagnoseHost } = await import('../task/diagnose-host.ts');
      return await diagnoseHost(named);
    },
    async knownNames() {
      const { knownNamesOf } = await import('./known-names.ts');
      return knownNamesOf(named);
    },
  };
}

/** Runs `look` again where that may find an image: its first run found none by the digest that was asked for. */
async function withContentSought<T>(
  open: Opener,
  stops: CallerStops,
  look: () => Promise<T>,
): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (unknownDigestOf(error) === undefined) throw error;
    const { seekingContent } = await import('../images/seek-content.ts');
    const { layout, system } = open();
    return await seekingContent(layout, look, {
      system,
      signal: AbortSignal.any([...signalsOf(stops)]),
    });
  }
}

type TaskMember =
  | ('run' | 'start' | 'list' | 'get' | 'wait' | 'kill')
  | ('reap' | 'watchOwners' | 'startGuard');

function taskMembers(open: Opener): Pick<Stackshim, TaskMember> {
  const own = new Map<TaskId, StartedTask>();
  return {
    async run(input, options = {}) {
      refuseUnknown(options, TASK_OPTIONS);
      const run = () => runTaskAndLeave(open(), input, options);
      const { result, remove } = await withContentSought(open, options, run);
      // Not awaited: never rejects; the `removed` event reports the outcome.
      if (input.remove === 'async') void remove();
      return result;
    },
    async start(input, options = {}) {
      refuseUnknown(options, TASK_OPTIONS);
      const { startTask } = await import('./start-task.ts');
      const start = () => startTask(open(), input, options);
      const started = await withContentSought(open, options, start);
      own.set(started.handle.id, started);
      void started.over.then(() => own.delete(started.handle.id));
      return started.handle;
    },
    async list() {
      const installation = open.asRoot('list tasks');
      const { listTasks } = await import('../task/records/list-tasks.ts');
      return listTasks(installation);
    },
    async get(id) {
      const installation = open.asRoot('find task');
      const { findTask } = await import('../task/records/list-tasks.ts');
      return findTask(installation, parseTaskId(id));
    },
    async wait(given, options) {
      const id = parseTaskId(given);
      const installation = open.asRoot('wait for task');
      const started = own.get(id);
      const { waitForTask } = await import('./wait-for-task.ts');
      const state = await waitForTask(installation, id, {
        ...options,
        isKnown: started !== undefined,
      });
      return { id, state, result: started === undefined ? null : await started.handle.result };
    },
    async kill(given, { stopTimeout = USUAL_STOP_TIMEOUT_MS } = {}) {
      const id = parseTaskId(given);
      const graceMs = parseDuration(stopTimeout, 'stopTimeout', STOP_TIMEOUT_BOUNDS);
      const installation = open.asRoot('kill tasks');
      const { killTask } = await import('../task/ending/kill-task.ts');
      return await killTask(installation, id, { graceMs });
    },
    async reap({ afterOwnerOf } = {}) {
      const awaited = afterOwnerOf === undefined ? undefined : parseTaskId(afterOwnerOf);
      const installation = open.asRoot('reap tasks');
      if (awaited !== undefined) {
        const { waitForOwner } = await import('../task/abandoned/wait-for-owner.ts');
        await waitForOwner(installation.layout, awaited, OWNER_ENDS_WITHIN_MS);
      }
      const { reapTasks } = await import('../task/abandoned/reap.ts');
      return await reapTasks(installation);
    },
    async watchOwners(options) {
      const installation = open.asRoot('reap tasks');
      const { watchOwners } = await import('../task/abandoned/watch-owners.ts');
      await watchOwners(installation, options);
    },
    async startGuard() {
      const { startGuard } = await import('../task/abandoned/guard.ts');
      return await startGuard(open.asRoot('start guard'));
    },
  };
}

const storageMembers = (open: Opener): Pick<Stackshim, 'verify' | 'migrate' | 'gc' | 'df'> => ({
  async migrate(options = {}) {
    const { layout, system } = open.asRoot('migrate');
    const { migrateStore } = await import('../images/migrate-store.ts');
    return await migrateStore(layout, { ...options, system });
  },
  async verify({ stacks, ...options } = {}) {
    const names = stacks?.map((name) => toStackName('verify', name));
    const { layout } = open.asRoot('verify');
    const { verifyStore } = await import('../stacks/verify-store.ts');
    const { abortable } = await import('../images/build-aborted.ts');
    const work = () => verifyStore(layout, { ...options, stacks: names });
    return await abortable('verify', options.signal, work);
  },
  async gc(options) {
    const installation = open.asRoot('collect garbage');
    const { collectGarbage } = await import('../images/collect-garbage.ts');
    return await collectGarbage(installation, options);
  },
  async df() {
    const installation = open.asRoot('measure disk usage');
    const { measureDiskUsage } = await import('../images/disk-usage.ts');
    return await measureDiskUsage(installation);
  },
});

/** Throws ERR_STACKSHIM_NOT_ROOT that names the operation. */
export function requireRoot(operation: string): void {
  if (process.geteuid?.() === 0) return;
  throw new StackshimError('ERR_STACKSHIM_NOT_ROOT', `${operation}: needs root`);
}

/** A misspelt `policy` or `origin` would silently give a task more than it may have. */
function refuseUnknown(options: object, known: Readonly<Record<string, true>>): void {
  const odd = Object.entries(options).find(
    ([name, value]) => value !== undefined && !Object.hasOwn(known, name),
  );
  if (odd === undefined) return;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `read options: there is no option ${JSON.stringify(odd[0])}`,
    { hint: `options are ${Object.keys(known).join(', ')}`, details: { field: odd[0] } },
  );
}
