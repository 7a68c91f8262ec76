/** The members of the door that a plain run does not need; each loads its own code when it is called. */
import { parseTaskId, type TaskId } from '../core/ids.ts';
import { type Layout, workersDir } from '../core/layout.ts';
import { parseDuration } from '../spec/quantities.ts';
import { SPEC_BOUNDS } from '../spec/spec-bounds.ts';
import type { StatsReader } from '../task/live/read-stats.ts';
import { type Opener, toStackName } from './open-stacks.ts';
import type { Door } from './open-stackshim.ts';
import type { StartedTask } from './start-task.ts';
import { withContentSought } from './with-content-sought.ts';

const OWNER_ENDS_WITHIN_MS = 30_000;
const USUAL_STOP_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_BOUNDS = { min: 0, max: SPEC_BOUNDS.stopTimeoutMsMax };

type TaskMember =
  | 'start'
  | 'list'
  | 'get'
  | 'wait'
  | 'kill'
  | 'stats'
  | 'processes'
  | 'pause'
  | 'unpause'
  | 'update'
  | 'events'
  | 'copyFrom'
  | 'copyTo'
  | 'logs'
  | 'inspect'
  | 'remove'
  | 'listEnded'
  | 'detach'
  | 'reap'
  | 'watchOwners'
  | 'startGuard';
type LiveMember = 'stats' | 'processes' | 'pause' | 'unpause' | 'update' | 'events';
type StorageMember = 'verify' | 'migrate' | 'gc' | 'df';
type HostMember = 'doctor' | 'knownNames' | 'policy' | 'site';

export type OtherMembers = Pick<Door, TaskMember | StorageMember | HostMember>;

/** @param named The folders under the names that the caller gave. */
export const openMembers = (open: Opener, named: Layout): OtherMembers => ({
  ...taskMembers(open, named),
  ...liveMembers(open),
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

function taskMembers(open: Opener, named: Layout): Pick<Door, Exclude<TaskMember, LiveMember>> {
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
      const end = await waitForTask(installation, id, {
        ...options,
        isKnown: started !== undefined,
      });
      return {
        id,
        ...end,
        ...(started === undefined ? {} : { result: await started.handle.result }),
      };
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

/** Members that look at running tasks of any process, or change them. */
function liveMembers(open: Opener): Pick<Door, LiveMember> {
  let reader: Promise<StatsReader> | undefined;
  return {
    async stats({ ids, skipEnded = false } = {}) {
      const wanted = ids?.map(parseTaskId);
      const installation = open.asRoot('read usage of tasks');
      reader ??= import('../task/live/read-stats.ts').then((live) =>
        live.StatsReader.open(installation),
      );
      return await (await reader).look({ ids: wanted, skipEnded });
    },
    async processes(given) {
      const id = parseTaskId(given);
      const installation = open.asRoot('list processes of task');
      const { listProcesses } = await import('../task/live/list-processes.ts');
      return await listProcesses(installation, id);
    },
    async pause(given) {
      const id = parseTaskId(given);
      const installation = open.asRoot('pause task');
      const { pauseTask } = await import('../task/live/pause-task.ts');
      await pauseTask(installation, id);
    },
    async unpause(given) {
      const id = parseTaskId(given);
      const installation = open.asRoot('unpause task');
      const { unpauseTask } = await import('../task/live/pause-task.ts');
      unpauseTask(installation, id);
    },
    async update(given, limits) {
      const id = parseTaskId(given);
      const { parseUpdate, updateTask } = await import('../task/live/update-task.ts');
      const asked = parseUpdate(limits);
      return await updateTask(open.asRoot('update task'), id, asked);
    },
    async events(options) {
      const installation = open.asRoot('watch events');
      const { watchEvents } = await import('../task/live/watch-events.ts');
      await watchEvents(installation, options);
    },
  };
}

const copyMembers = (open: Opener): Pick<Door, 'copyFrom' | 'copyTo'> => ({
  async copyFrom(given, source, to, { signal } = {}) {
    const task = parseTaskId(given);
    const { layout } = open.asRoot('copy files of tasks');
    const { copyFiles, toOrder } = await import('../task/copying/copy-files.ts');
    const isPath = typeof to === 'string';
    const order = toOrder(layout, task, {
      direction: 'out',
      inside: source,
      outside: isPath ? to : undefined,
    });
    return await copyFiles(order, { output: isPath ? undefined : to, signal });
  },
  async copyTo(given, from, destination, { signal } = {}) {
    const task = parseTaskId(given);
    const { layout } = open.asRoot('copy files of tasks');
    const { copyFiles, toOrder } = await import('../task/copying/copy-files.ts');
    const isPath = typeof from === 'string';
    const order = toOrder(layout, task, {
      direction: 'in',
      inside: destination,
      outside: isPath ? from : undefined,
    });
    return await copyFiles(order, { input: isPath ? undefined : from, signal });
  },
});

type ReportMember = 'logs' | 'inspect' | 'remove' | 'listEnded' | 'detach';

/** What tasks leave beyond their end, and tasks that go on without their caller. */
const reportMembers = (open: Opener, named: Layout): Pick<Door, ReportMember> => ({
  async logs(given, options = {}) {
    const id = parseTaskId(given);
    const installation = open.asRoot('read logs');
    const { readLog } = await import('../task/reports/read-log.ts');
    return readLog(installation, id, options);
  },
  async inspect(given) {
    const id = parseTaskId(given);
    const installation = open.asRoot('inspect tasks');
    const { inspectTask } = await import('../task/reports/inspect-task.ts');
    return inspectTask(installation, id);
  },
  async remove(given, { force = false, stopTimeout = USUAL_STOP_TIMEOUT_MS } = {}) {
    const id = parseTaskId(given);
    const graceMs = parseDuration(stopTimeout, 'stopTimeout', STOP_TIMEOUT_BOUNDS);
    const installation = open.asRoot('remove tasks');
    const { removeEnded } = await import('../task/reports/remove-ended.ts');
    return await removeEnded(installation, id, { force, graceMs });
  },
  async listEnded() {
    const { layout } = open.asRoot('list tasks');
    const { listEnded } = await import('../task/reports/list-ended.ts');
    return listEnded(layout);
  },
  async detach(input, options = {}) {
    open.asRoot('run task');
    const { startKeeper } = await import('./keeper/start-keeper.ts');
    return await startKeeper({ input, options, named });
  },
});

const storageMembers = (open: Opener): Pick<Door, StorageMember> => ({
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
