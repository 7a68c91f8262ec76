/** Removes what dead owners left behind: the only recovery there is, and safe to run at any time, by any number of processes. */
import { closeSync, readdirSync, rmSync } from 'node:fs';
import { type ErrorJson, errnoCodeOf, StackshimError } from '../../core/errors.ts';
import { isTaskId, type TaskId } from '../../core/ids.ts';
import { scratchDir, tasksDir, VOLUME_PREFIX } from '../../core/layout.ts';
import { clearStaleTmp } from '../../layers/stale-files.ts';
import { bootId, isOwnerAlive, type Owner, type ProcessIdentity } from '../../sys/processes.ts';
import type { Fd } from '../../sys/system.ts';
import { sweepIdleVolumes } from '../disk/idle-volumes.ts';
import { removeScratch } from '../disk/scratch-files.ts';
import { signalAll } from '../ending/kill-processes.ts';
import type { Installation } from '../installation.ts';
import { isAbandoned, lockRecord } from '../records/claim-record.ts';
import { listTaskIds, readRecord, taskFolderNames } from '../records/read-record.ts';
import { parseUnfinishedName } from '../records/record.ts';
import { findRunFolders } from '../records/run-folders.ts';
import { recordedPlaces, taskPlaces } from '../records/task-places.ts';
import {
  type AbandonedTask,
  type ReapedTask,
  removeAbandoned,
  removeTenants,
} from './remove-abandoned.ts';

/** What {@link reapTasks} did. */
export interface ReapReport {
  /** Tasks whose owner is dead, with what became of each. */
  readonly reaped: readonly ReapedTask[];
  /** Tasks whose record could not be read; nothing of them was touched. */
  readonly corrupt: readonly ErrorJson[];
}

/** Tasks that are removed side by side: each has its folder's lock, and so one descriptor, meanwhile. All of them end first. */
const TASKS_AT_ONCE = 256;

/**
 * Reaps every task whose owner is dead. Tasks of living owners and kept tasks of this boot stay. Needs root.
 * Half-written files of dead processes go, too. A second call finds nothing to do but what could not be removed before.
 */
export async function reapTasks(installation: Installation): Promise<ReapReport> {
  const { layout } = installation;
  const report = await reapAmong(installation, listTaskIds(layout));
  removeUnfinished(installation);
  await removeOrphanedScratch(installation);
  await clearStaleTmp(layout);
  await removeTenants(installation);
  return report;
}

/**
 * Reaps what one dead owner left, and nothing of others; with `ids` among these tasks alone. Nothing is done while it lives.
 */
export async function reapTasksOf(
  installation: Installation,
  owner: Owner,
  ids: readonly TaskId[] = listTaskIds(installation.layout),
): Promise<ReapReport> {
  const report = await reapAmong(installation, ids, owner);
  removeUnfinished(installation, owner);
  await removeTenants(installation);
  return report;
}

/** Reaps those of the tasks whose owner is dead, and is `owner` where one is given. Ids that are no task's are passed over. */
async function reapAmong(
  installation: Installation,
  ids: readonly TaskId[],
  owner?: Owner,
): Promise<ReapReport> {
  const { layout } = installation;
  const abandoned: TaskId[] = [];
  const corrupt: ErrorJson[] = [];
  for (const id of ids) {
    try {
      const record = readRecord(layout, id);
      if (record === undefined || !isAbandoned(record)) continue;
      if (owner === undefined || isSameOwner(record.owner, owner)) abandoned.push(id);
    } catch (error) {
      if (!(error instanceof StackshimError)) throw error;
      corrupt.push(error.toJSON());
    }
  }
  // To remove a task takes longer than to end it: none is to run on while others are removed.
  for (const id of abandoned.slice(TASKS_AT_ONCE)) endTask(installation, id);
  const reaped: ReapedTask[] = [];
  for (let from = 0; from < abandoned.length; from += TASKS_AT_ONCE) {
    reaped.push(...(await reapTogether(installation, abandoned.slice(from, from + TASKS_AT_ONCE))));
  }
  return { reaped, corrupt };
}

const isSameOwner = (one: Owner, other: Owner) =>
  one.pid === other.pid && one.startTime === other.startTime && one.bootId === other.bootId;

interface ClaimedTask extends AbandonedTask {
  readonly lock: Fd;
}

/** Kills its processes. Whatever lives on is killed when the task is removed. */
function endTask(installation: Installation, id: TaskId): void {
  const task = claim(installation, id);
  if (task === undefined) return;
  try {
    signalAll(installation.cgroups, task.places.cgroupsPath);
  } finally {
    closeSync(task.lock);
  }
}

/** Without those that another process is removing at this moment, or has removed. */
async function reapTogether(
  installation: Installation,
  ids: readonly TaskId[],
): Promise<readonly ReapedTask[]> {
  const claimed: ClaimedTask[] = [];
  try {
    for (const id of ids) {
      const task = claim(installation, id);
      if (task !== undefined) claimed.push(task);
    }
    return await removeAbandoned(installation, claimed);
  } finally {
    for (const { lock } of claimed) closeSync(lock);
  }
}

/** Undefined when another process is removing it, or when it is no abandoned task any more. */
function claim(installation: Installation, id: TaskId): ClaimedTask | undefined {
  try {
    const locked = lockRecord(installation, id, isAbandoned);
    if (locked === undefined) return undefined;
    const { record, lock } = locked;
    return { ...record, places: recordedPlaces(installation.layout, record), lock };
  } catch (error) {
    // A record that was damaged meanwhile is for the next one to report.
    if (error instanceof StackshimError) return undefined;
    throw error;
  }
}

/** Task folders whose maker died before it could give them their name, or whose remover died before they were gone. */
function removeUnfinished({ layout }: Installation, of?: ProcessIdentity): void {
  for (const name of taskFolderNames(layout)) {
    const owner = parseUnfinishedName(name);
    if (owner === undefined || isOwnerAlive({ ...owner, bootId: bootId() })) continue;
    if (of !== undefined && (owner.pid !== of.pid || owner.startTime !== of.startTime)) continue;
    rmSync(`${tasksDir(layout)}/${name}`, { recursive: true, force: true });
  }
}

/** Writable layers and volumes without a task: its record went with the run folder, at a reboot. */
async function removeOrphanedScratch({ layout, system }: Installation): Promise<void> {
  // In this order: a task makes its folder before its scratch folder.
  const found = scratchNames(scratchDir(layout)).map((name) => name.replace(VOLUME_PREFIX, ''));
  const tasks = new Set(findRunFolders(layout).flatMap(taskFolderNames));
  const orphans = new Set(found.filter(isTaskId).filter((id) => !tasks.has(id)));
  for (const id of orphans) await removeScratch(system, taskPlaces(layout, id), new Map());
  sweepIdleVolumes(system, layout);
}

function scratchNames(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
}
