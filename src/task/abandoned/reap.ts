/** Removes what dead owners left. This is the only recovery mechanism; any number of processes may run it at any time. */

import { closeSync, existsSync, rmSync } from 'node:fs';
import { type ErrorJson, unlessFailed } from '../../core/errors.ts';
import { isTaskId, type TaskId } from '../../core/ids.ts';
import { reportsDir, scratchDir, tasksDir, VOLUME_PREFIX } from '../../core/layout.ts';
import { clearStaleTmp } from '../../store/stale-files.ts';
import { namesIn } from '../../sys/files.ts';
import { bootId, isOwnerAlive, type Owner, type ProcessIdentity } from '../../sys/processes.ts';
import type { Fd } from '../../sys/system.ts';
import { sweepIdleVolumes } from '../disk/idle-volumes.ts';
import { removeScratch } from '../disk/scratch-files.ts';
import { signalAll } from '../ending/kill-processes.ts';
import type { Installation } from '../installation.ts';
import { isAbandoned, lockRecord } from '../records/claim-record.ts';
import { eachRecord, listTaskIds, taskFolderNames, UNREADABLE } from '../records/read-record.ts';
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
  /** Tasks without an owner, with the outcome of each removal. */
  readonly reaped: readonly ReapedTask[];
  /** Errors of unreadable records; their tasks were not touched. */
  readonly corrupt: readonly ErrorJson[];
}

/** The number of tasks to remove at once: each takes one descriptor, for the lock of its folder. All tasks are killed before any is removed. */
const TASKS_AT_ONCE = 256;

/**
 * Reaps every abandoned task. Tasks of living owners and kept tasks of this boot stay. Also removes
 * half-written files of dead processes. Needs root. A second call only retries what could not be removed.
 */
export async function reapTasks(installation: Installation): Promise<ReapReport> {
  const { layout } = installation;
  const report = await reapAmong(installation, listTaskIds(layout));
  removeUnfinished(installation);
  if (existsSync(reportsDir(layout))) {
    const { removeUnfinishedReports } = await import('../reports/prune-reports.ts');
    removeUnfinishedReports(layout);
  }
  await removeOrphanedScratch(installation);
  await clearStaleTmp(layout);
  await removeTenants(installation);
  return report;
}

/** Reaps only the tasks of one dead owner and, with `ids`, only those among them. Does nothing while the owner lives. */
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

/** Reaps the abandoned tasks among `ids`, and only those of `owner` if given. Skips ids without a task. */
async function reapAmong(
  installation: Installation,
  ids: readonly TaskId[],
  owner?: Owner,
): Promise<ReapReport> {
  const abandoned: TaskId[] = [];
  const errors = eachRecord(installation.layout, ids, (record) => {
    if (!isAbandoned(record)) return;
    if (owner === undefined || isSameOwner(record.owner, owner)) abandoned.push(record.id);
  });
  // Removing takes longer than killing, so kill the later tasks first: none may run
  // on while others are removed. The removal kills any process that survives this.
  for (const id of abandoned.slice(TASKS_AT_ONCE)) {
    await whileClaimed(installation, [id], ([task]) => {
      if (task !== undefined) signalAll(installation.cgroups, task.places.cgroupsPath);
    });
  }
  const reaped: ReapedTask[] = [];
  for (let from = 0; from < abandoned.length; from += TASKS_AT_ONCE) {
    const some = abandoned.slice(from, from + TASKS_AT_ONCE);
    const remove = (tasks: readonly AbandonedTask[]) => removeAbandoned(installation, tasks);
    reaped.push(...(await whileClaimed(installation, some, remove)));
  }
  return { reaped, corrupt: errors.map((error) => error.toJSON()) };
}

const isSameOwner = (one: Owner, other: Owner) =>
  one.pid === other.pid && one.startTime === other.startTime && one.bootId === other.bootId;

/** Locks those of the tasks that are still abandoned and that no other process is removing, and calls `act` with them under their locks. */
async function whileClaimed<T>(
  installation: Installation,
  ids: readonly TaskId[],
  act: (tasks: readonly AbandonedTask[]) => T | Promise<T>,
): Promise<T> {
  const claimed: (AbandonedTask & { readonly lock: Fd })[] = [];
  try {
    for (const id of ids) {
      // A record that was damaged meanwhile: the next reap reports it.
      const locked = unlessFailed(() => lockRecord(installation, id, isAbandoned), UNREADABLE);
      if (locked === undefined) continue;
      const { record, lock } = locked;
      claimed.push({ ...record, places: recordedPlaces(installation.layout, record), lock });
    }
    return await act(claimed);
  } finally {
    for (const { lock } of claimed) closeSync(lock);
  }
}

/** Removes task folders whose creator died before naming them, or whose remover died before they were gone. */
function removeUnfinished({ layout }: Installation, of?: ProcessIdentity): void {
  for (const name of taskFolderNames(layout)) {
    const owner = parseUnfinishedName(name);
    if (owner === undefined || isOwnerAlive({ ...owner, bootId: bootId() })) continue;
    if (of !== undefined && (owner.pid !== of.pid || owner.startTime !== of.startTime)) continue;
    rmSync(`${tasksDir(layout)}/${name}`, { recursive: true, force: true });
  }
}

/** Removes writable layers and volumes without a task, whose record a reboot cleared with the run folder. */
async function removeOrphanedScratch({ layout, system }: Installation): Promise<void> {
  // Read the scratch folder first: a task creates its task folder before its scratch folder.
  const found = namesIn(scratchDir(layout)).map((name) => name.replace(VOLUME_PREFIX, ''));
  const tasks = new Set(findRunFolders(layout).flatMap(taskFolderNames));
  const orphans = new Set(found.filter(isTaskId).filter((id) => !tasks.has(id)));
  for (const id of orphans) await removeScratch(system, taskPlaces(layout, id), new Map());
  sweepIdleVolumes(system, layout);
}
