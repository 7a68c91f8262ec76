/** The members of the door that a plain run does not need. Each loads its own code when it is called. */
import { parseTaskId, type TaskId } from '../core/ids.ts';
import { type Layout, workersDir } from '../core/layout.ts';
import { parseDuration } from '../spec/quantities.ts';
import { SPEC_BOUNDS } from '../spec/spec-bounds.ts';
import type { CopyFilesOptions, CopyPaths } from '../task/copying/copy-files.ts';
import type { StatsReader } from '../task/live/read-stats.ts';
import { type Opener, toStackName } from './open-stacks.ts';
import type { Door } from './open-stackshim.ts';
import type { StartedTask } from './start-task.ts';
import { withContentSought } from './with-content-sought.ts';

const OWNER_ENDS_WITHIN_MS = 30_000;
const USUAL_STOP_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_BOUNDS = { min: 0, max: SPEC_BOUNDS.stopTimeoutMsMax };

export type OtherMembers = Omit<Door, 'run' | 'runAndLeave' | 'exec' | 'stacks' | 'code'>;

/** @param named The folders under the names that the caller gave. */
export const openMembers = (open: Opener, named: Layout): OtherMembers => ({
  ...taskMembers(open, named),
  ...liveMembers(open),
  ...storageMembers(open),
  async doctor() {
    // Diagnose the folders under the names that the caller gave.
    const { diagnoseHost } = await import('../doctor/diagnose-host.ts');
    return await diagnoseHost(named);
  },
  async knownNames() {
    const { knownNamesOf } = await import('./known-names.ts');
    return knownNamesOf(named);
  },
  async policy() {
    const { readPolicy } = await import('../task/installation.ts');
    return await readPolicy(named);
  },
  async site() {
    const { layout, host } = open.asRoot('run worker');
    const { root } = layout;
    const { memoryBytes, cpus } = host;
    return await Promise.resolve({ root, workersDir: workersDir(layout), memoryBytes, cpus });
  },
});

function taskMembers(open: Opener, named: Layout) {
  const own = new Map<TaskId, StartedTask>();
  return {
    async start(input, options = {}) {
      const { startTask } = await import('./start-task.ts');
      const start = () => startTask(open(), input, options);
      const started = await withContentSought(open, options, start);
      own.set(started.handle.id, started);
      void started.over.then(() => own.delete(started.handle.id));
      return started.handle;
    },
    async list() {
      const { listTasks } = await import('../task/records/list-tasks.ts');
      return listTasks(open.asRoot('list tasks'));
    },
    async get(id) {
      const { findTask } = await import('../task/records/list-tasks.ts');
      return findTask(open.asRoot('find task'), parseTaskId(id));
    },
    async wait(given, options) {
      const id = parseTaskId(given);
      const installation = open.asRoot('wait for task');
      const started = own.get(id);
      const { waitForTask } = await import('./wait-for-task.ts');
      const end = await waitForTask(installation, id, {
        ...options,
        isKnown: started !== undefined,
      });
      const result = started === undefined ? end.result : await started.handle.result;
      return { id, ...end, result };
    },
    async kill(given, { stopTimeout = USUAL_STOP_TIMEOUT_MS } = {}) {
      const id = parseTaskId(given);
      const graceMs = parseDuration(stopTimeout, 'stopTimeout', STOP_TIMEOUT_BOUNDS);
      const installation = open.asRoot('kill tasks');
      const { killTask } = await import('../task/ending/kill-task.ts');
      return await killTask(installation, id, { graceMs });
    },
    ...copyMembers(open),
    ...reportMembers(open, named),
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
      const { watchOwners } = await import('../task/abandoned/watch-owners.ts');
      await watchOwners(open.asRoot('reap tasks'), options);
    },
    async startGuard() {
      const { startGuard } = await import('../task/abandoned/guard.ts');
      return await startGuard(open.asRoot('start guard'));
    },
  } satisfies Partial<Door>;
}

/** Members that read or change running tasks of any process. */
function liveMembers(open: Opener) {
  let reader: Promise<StatsReader> | undefined;
  return {
    async stats({ ids, skipEnded = false } = {}) {
      const wanted = ids?.map(parseTaskId);
      const installation = open.asRoot('read usage of tasks');
      reader ??= import('../task/live/read-stats.ts').then(
        async (live) => new live.StatsReader(installation, await installation.cgroups.openLive()),
      );
      return await (await reader).look(wanted, skipEnded);
    },
    async processes(given) {
      const id = parseTaskId(given);
      const { listProcesses } = await import('../task/live/list-processes.ts');
      return await listProcesses(open.asRoot('list processes of task'), id);
    },
    async pause(given) {
      const id = parseTaskId(given);
      const { pauseTask } = await import('../task/live/pause-task.ts');
      await pauseTask(open.asRoot('pause task'), id);
    },
    async unpause(given) {
      const id = parseTaskId(given);
      const { unpauseTask } = await import('../task/live/pause-task.ts');
      unpauseTask(open.asRoot('unpause task'), id);
    },
    async update(given, limits) {
      const id = parseTaskId(given);
      const { parseUpdate, updateTask } = await import('../task/live/update-task.ts');
      const asked = parseUpdate(limits);
      return await updateTask(open.asRoot('update task'), id, asked);
    },
    async events(options) {
      const { watchEvents } = await import('../task/live/watch-events.ts');
      await watchEvents(open.asRoot('watch events'), options);
    },
  } satisfies Partial<Door>;
}

function copyMembers(open: Opener) {
  const copy = async (id: string, paths: CopyPaths, options: CopyFilesOptions) => {
    const task = parseTaskId(id);
    const { layout } = open.asRoot('copy files of tasks');
    const { copyFiles, toOrder } = await import('../task/copying/copy-files.ts');
    return await copyFiles(toOrder(layout, task, paths), options);
  };
  return {
    async copyFrom(id, inside, to, { signal } = {}) {
      const [outside, output] = typeof to === 'string' ? [to] : [undefined, to];
      return await copy(id, { direction: 'out', inside, outside }, { output, signal });
    },
    async copyTo(id, from, inside, { signal } = {}) {
      const [outside, input] = typeof from === 'string' ? [from] : [undefined, from];
      return await copy(id, { direction: 'in', inside, outside }, { input, signal });
    },
  } satisfies Partial<Door>;
}

/** Members for what tasks leave beyond their end, and for tasks that go on without their caller. */
const reportMembers = (open: Opener, named: Layout) =>
  ({
    async logs(given, options = {}) {
      const id = parseTaskId(given);
      const { readLog } = await import('../task/reports/read-log.ts');
      return readLog(open.asRoot('read logs'), id, options);
    },
    async inspect(given) {
      const id = parseTaskId(given);
      const { inspectTask } = await import('../task/reports/inspect-task.ts');
      return inspectTask(open.asRoot('inspect tasks'), id);
    },
    async remove(given, { force = false, stopTimeout = USUAL_STOP_TIMEOUT_MS } = {}) {
      const id = parseTaskId(given);
      const graceMs = parseDuration(stopTimeout, 'stopTimeout', STOP_TIMEOUT_BOUNDS);
      const installation = open.asRoot('remove tasks');
      const { removeEnded } = await import('../task/reports/remove-ended.ts');
      return await removeEnded(installation, id, { force, graceMs });
    },
    async listEnded() {
      const { listEnded } = await import('../task/reports/list-ended.ts');
      return listEnded(open.asRoot('list tasks').layout);
    },
    async detach(input, options = {}) {
      open.asRoot('run task');
      const { startKeeper } = await import('./keeper/start-keeper.ts');
      return await startKeeper(named, input, options);
    },
  }) satisfies Partial<Door>;

const storageMembers = (open: Opener) =>
  ({
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
      const work = () => verifyStore(layout, { ...options, stacks: names });
      return await abortable('verify', options.signal, work);
    },
    async gc(options) {
      const { collectGarbage } = await import('../upkeep/collect-garbage.ts');
      return await collectGarbage(open.asRoot('collect garbage'), options);
    },
    async df() {
      const { measureDiskUsage } = await import('../upkeep/disk-usage.ts');
      return await measureDiskUsage(open.asRoot('measure disk usage'));
    },
  }) satisfies Partial<Door>;
