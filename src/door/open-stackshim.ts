/**
 * The one door to an installation, for the library and the command line. It resolves the installation's folders, once. A plain run loads
 * only the code that runs a task; the code of other members is loaded when they are called.
 */
import { StackshimError } from '../core/errors.ts';
import { parseTaskId, type TaskId } from '../core/ids.ts';
import { type LayoutOptions, layoutFrom } from '../core/layout.ts';
import { parseDuration } from '../spec/parse-duration.ts';
import { SPEC_BOUNDS } from '../spec/spec-bounds.ts';
import type { TaskInput } from '../spec/task-input.ts';
import { unknownDigestOf } from '../store/stacks/resolve-stack.ts';
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

/** The door with members that only the command line needs. */
export interface Door extends Stackshim {
  /** Like `run`, for a caller that does the asynchronous removal itself. */
  runAndLeave(input: TaskInput, options: OwnTaskOptions): Promise<EndedTask>;
  /** Names on this host, for shell completion; any user may ask. */
  knownNames(): Promise<KnownNames>;
}

/**
 * Opens the installation that `options` name; missing options come from the environment. Has no effect and reads nothing: the first member
 * that is called resolves the folders for all later calls. Throws ERR_STACKSHIM_SPEC_INVALID for an unknown option.
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
  return {
    runAndLeave: (input, own) =>
      withContentSought(open, own, () => runTaskAndLeave(open(), input, own)),
    ...taskMembers(open),
    stacks: openStacks(open),
    ...storageMembers(open),
    async doctor() {
      // Judge the folders under the names that were given.
      const { diagnoseHost } = await import('../doctor/diagnose-host.ts');
      return await diagnoseHost(named);
    },
    async knownNames() {
      const { knownNamesOf } = await import('./known-names.ts');
      return knownNamesOf(named);
    },
  };
}

/** Runs `look` again if the first run found no image with a digest, and a content digest that is still unknown may match it. */
async function withContentSought<T>(
  open: Opener,
  stops: CallerStops,
  look: () => Promise<T>,
): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (unknownDigestOf(error) === undefined) throw error;
    const { seekingContent } = await import('../exchange/oci-image/seek-content.ts');
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
    const { migrateStore } = await import('../upkeep/migrate-store.ts');
    return await migrateStore(layout, { ...options, system });
  },
  async verify({ stacks, ...options } = {}) {
    const names = stacks?.map((name) => toStackName('verify', name));
    const { layout } = open.asRoot('verify');
    const { verifyStore } = await import('../upkeep/verify-store.ts');
    const { abortable } = await import('../exchange/abortable.ts');
    const work = () =>
      verifyStore(layout, { ...options, ...(names === undefined ? {} : { stacks: names }) });
    return await abortable('verify', options.signal, work);
  },
  async gc(options) {
    const installation = open.asRoot('collect garbage');
    const { collectGarbage } = await import('../upkeep/collect-garbage.ts');
    return await collectGarbage(installation, options);
  },
  async df() {
    const installation = open.asRoot('measure disk usage');
    const { measureDiskUsage } = await import('../upkeep/disk-usage.ts');
    return await measureDiskUsage(installation);
  },
});

/** Throws ERR_STACKSHIM_NOT_ROOT, which names the operation, unless this user is root. */
export function requireRoot(operation: string): void {
  if (process.geteuid?.() === 0) return;
  throw new StackshimError('ERR_STACKSHIM_NOT_ROOT', `${operation}: needs root`);
}

/** A misspelt `policy` or `origin` would silently give a task more than it may have. */
function refuseUnknown(options: object, known: Readonly<Record<string, true>>): void {
  const unknown = Object.entries(options).find(
    ([name, value]) => value !== undefined && !Object.hasOwn(known, name),
  );
  if (unknown === undefined) return;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `read options: unknown option ${JSON.stringify(unknown[0])}`,
    { hint: `options are ${Object.keys(known).join(', ')}`, details: { field: unknown[0] } },
  );
}
