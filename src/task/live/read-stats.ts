/** Reads the present usage of running tasks from their cgroups, and their disk space through their owners. */
import { openSync, statSync } from 'node:fs';
import type { LiveCgroups, LiveUsage } from '../../cgroup/cgroup-driver.ts';
import { type ErrorJson, StackshimError } from '../../core/errors.ts';
import type { StackName, TaskId, TenantName } from '../../core/ids.ts';
import { nextTurn } from '../../core/pause.ts';
import { withFd } from '../../sys/paths.ts';
import { isOwnerAlive } from '../../sys/processes.ts';
import type { System } from '../../sys/system.ts';
import { loopDeviceOf, measureVolume } from '../disk/volume-state.ts';
import type { Installation } from '../installation.ts';
import { listTaskIds, readRecord } from '../records/read-record.ts';
import type { TaskRecord } from '../records/record.ts';
import { recordedPlaces, type TaskPlaces, taskPlaces } from '../records/task-places.ts';
import { requireLive } from './require-live.ts';

/** The usage of one task. Null: unknown. */
export interface TaskStats {
  readonly id: TaskId;
  readonly stack: StackName;
  readonly revision: number;
  /** Null: the task has no tenant. */
  readonly tenant: TenantName | null;
  readonly state: 'running' | 'paused' | 'orphaned';
  readonly labels: Readonly<Record<string, string>>;
  /** Percent of one processor since the previous look; more than 100 with several processors. Null at the first look. */
  readonly cpuPercent: number | null;
  /** Processor time so far. */
  readonly cpuMs: number | null;
  /** Without cached file pages that were not used lately, as docker counts. */
  readonly memoryBytes: number | null;
  readonly memoryLimitBytes: number | null;
  readonly memoryPercent: number | null;
  readonly memoryPeakBytes: number | null;
  /** Processes and threads. */
  readonly pids: number | null;
  readonly pidsLimit: number | null;
  readonly pidsPeak: number | null;
  readonly ioReadBytes: number | null;
  readonly ioWriteBytes: number | null;
  /** Disk space of the task's files. Null also where the disk limit is enforced only by measuring. */
  readonly diskBytes: number | null;
  readonly oomKills: number | null;
}

/** One look at running tasks. */
export interface StatsLook {
  /** ISO 8601, UTC. */
  readonly at: string;
  /** Oldest first. */
  readonly tasks: readonly TaskStats[];
  /** Records that could not be read. */
  readonly corrupt: readonly ErrorJson[];
}

interface KnownTask {
  /** Changes whenever the record is replaced. */
  readonly version: string;
  readonly record: TaskRecord;
  readonly places: TaskPlaces;
  /** Processor time at the last look. */
  cpu: { readonly atMs: number; readonly ms: number } | undefined;
}

/** Tasks per turn of the event loop; reading one takes a tenth of a millisecond. */
const TASKS_PER_TURN = 16;

/** Remembers the records and the processor times of the last look, so that a look costs little. */
export class StatsReader {
  readonly #installation: Installation;
  readonly #live: LiveCgroups;
  #known = new Map<TaskId, KnownTask>();

  constructor(installation: Installation, live: LiveCgroups) {
    this.#installation = installation;
    this.#live = live;
  }

  /** Reads the usage of `ids`, or of all running tasks. If one of `ids` does not run, rejects like `requireLive`, or skips it with `skipEnded`. */
  async look(ids: readonly TaskId[] | undefined, skipEnded: boolean): Promise<StatsLook> {
    const { layout } = this.#installation;
    if (ids !== undefined && !skipEnded) {
      const options = { operation: 'read usage of task', mayBeOrphaned: true };
      for (const id of ids) requireLive(this.#installation, id, options);
    }
    const at = new Date().toISOString();
    const seen = new Map<TaskId, KnownTask>();
    const owners = new Map<string, boolean>();
    const found: { readonly createdAt: string; readonly stats: TaskStats }[] = [];
    const corrupt: ErrorJson[] = [];
    for (const [index, id] of (ids ?? listTaskIds(layout)).entries()) {
      if (index % TASKS_PER_TURN === TASKS_PER_TURN - 1) await nextTurn();
      try {
        const task = this.#find(id);
        if (task === undefined || task.record.kept) continue;
        seen.set(id, task);
        const stats = this.#read(task, owners);
        if (stats !== undefined) found.push({ createdAt: task.record.createdAt, stats });
      } catch (error) {
        if (!(error instanceof StackshimError)) throw error;
        corrupt.push(error.toJSON());
      }
    }
    this.#known = seen;
    found.sort((one, other) => one.createdAt.localeCompare(other.createdAt));
    return { at, tasks: found.map(({ stats }) => stats), corrupt };
  }

  #find(id: TaskId): KnownTask | undefined {
    const { layout } = this.#installation;
    const stat = statSync(taskPlaces(layout, id).recordFile, { throwIfNoEntry: false });
    const version = stat === undefined ? '' : `${stat.ino}-${stat.mtimeMs}-${stat.size}`;
    const known = this.#known.get(id);
    if (known !== undefined && known.version === version) return known;
    const record = readRecord(layout, id);
    if (record === undefined) return undefined;
    const isSame = known?.record.createdAt === record.createdAt;
    const cpu = isSame ? known?.cpu : undefined;
    return { version, record, places: recordedPlaces(layout, record), cpu };
  }

  /** Undefined if the task has no processes. */
  #read(task: KnownTask, owners: Map<string, boolean>): TaskStats | undefined {
    const { record, places } = task;
    const usage = this.#live.readUsage(places.cgroupsPath);
    if ((usage.pids ?? 0) === 0) return undefined;
    // Many tasks share an owner: check it once per look.
    const owner = JSON.stringify(record.owner);
    const isAlive = owners.get(owner) ?? isOwnerAlive(record.owner);
    owners.set(owner, isAlive);
    const isOwned = !record.disowned && isAlive;
    const running = usage.isFrozen ? 'paused' : 'running';
    const { id, stack, revision, tenant = null, labels } = record;
    return {
      ...{ id, stack, revision, tenant },
      state: isOwned ? running : 'orphaned',
      labels,
      cpuPercent: toCpuPercent(task, usage),
      ...toUsage(usage),
      diskBytes: isOwned ? measureDisk(this.#installation.system, record, places) : null,
    };
  }
}

function toCpuPercent(task: KnownTask, { cpuMs }: LiveUsage): number | null {
  const { cpu: last } = task;
  const atMs = performance.now();
  task.cpu = cpuMs === null ? undefined : { atMs, ms: cpuMs };
  if (last === undefined || cpuMs === null || atMs <= last.atMs) return null;
  return (Math.max(0, cpuMs - last.ms) / (atMs - last.atMs)) * 100;
}

/** JSON has no infinity: null stands for no limit. */
const finite = (value: number | null) => (value === Number.POSITIVE_INFINITY ? null : value);

function toUsage({ isFrozen: _, ...usage }: LiveUsage) {
  const memoryLimitBytes = finite(usage.memoryLimitBytes);
  const { memoryBytes } = usage;
  const memoryPercent =
    memoryBytes === null || memoryLimitBytes === null
      ? null
      : (memoryBytes / memoryLimitBytes) * 100;
  return { ...usage, memoryLimitBytes, memoryPercent, pidsLimit: finite(usage.pidsLimit) };
}

/** Disk space of the task's files; null if it cannot be measured, or only file by file. */
function measureDisk(
  system: System,
  { owner, diskMechanism, diskDescriptor, diskProject, loopDevice }: TaskRecord,
  { scratchDir }: TaskPlaces,
): number | null {
  try {
    if (diskMechanism === 'quota' && diskProject !== undefined) {
      return withFd(
        openSync(scratchDir, 'r'),
        (folder) => system.readProjectUsage(folder, diskProject).bytes,
      );
    }
    if (diskMechanism !== 'volume' || diskDescriptor === undefined) return null;
    // The volume is mounted nowhere, and no part of this path belongs to the task.
    const root = `/proc/${owner.pid}/fd/${diskDescriptor}`;
    // The owner may have closed the descriptor and opened another file with the same number.
    return loopDeviceOf(root) === loopDevice ? measureVolume(root).bytes : null;
  } catch {
    // The task has ended meanwhile.
    return null;
  }
}
