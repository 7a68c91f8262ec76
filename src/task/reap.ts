/** Removes what dead owners left behind: the only recovery there is, and safe to run at any time, by any number of processes. */
import { closeSync, openSync, readdirSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { type ErrorJson, errnoCodeOf, StackshimError } from '../core/errors.ts';
import { isTaskId, type TaskId } from '../core/ids.ts';
import { scratchDir, tasksDir } from '../core/layout.ts';
import { clearStaleTmp } from '../layers/stale-files.ts';
import { readMounts } from '../sys/mountinfo.ts';
import { bootId, findProcessesByArgument, isOwnerAlive } from '../sys/processes.ts';
import { removeTree } from '../sys/remove-tree.ts';
import type { Installation } from './installation.ts';
import { listTaskIds, readRecord, taskFolderNames } from './read-record.ts';
import { parseUnfinishedName, type TaskRecord } from './record.ts';
import { type Removal, removeTask } from './remove-task.ts';
import { signalProcess } from './stop-task.ts';
import { type TaskPlaces, taskPlaces } from './task-places.ts';

/** A task whose owner is dead, and what became of it. */
export interface ReapedTask extends Removal {
  readonly id: TaskId;
}

/** What {@link reapTasks} did. */
export interface ReapReport {
  /** Tasks whose owner is dead, with what became of each. */
  readonly reaped: readonly ReapedTask[];
  /** Tasks whose record could not be read; nothing of them was touched. */
  readonly corrupt: readonly ErrorJson[];
}

/** A runtime that does not end when killed is stuck in the kernel; what it makes is found by the checks that follow. */
const RUNTIME_GONE_WITHIN_MS = 5_000;

/**
 * Reaps every task whose owner is dead. Tasks of living owners and kept tasks of this boot stay. Needs root.
 * Half-written files of dead processes go, too. A second call finds nothing to do but what could not be removed before.
 */
export async function reapTasks(installation: Installation): Promise<ReapReport> {
  const { layout } = installation;
  const reaped: ReapedTask[] = [];
  const corrupt: ErrorJson[] = [];
  for (const id of listTaskIds(layout)) {
    try {
      const record = readRecord(layout, id);
      if (record === undefined || !isAbandoned(record)) continue;
      const removal = await reapTask(installation, record);
      if (removal !== undefined) reaped.push({ id, ...removal });
    } catch (error) {
      if (!(error instanceof StackshimError)) throw error;
      corrupt.push(error.toJSON());
    }
  }
  removeUnfinished(installation);
  await removeOrphanedScratch(installation);
  await clearStaleTmp(layout);
  return { reaped, corrupt };
}

function isAbandoned(record: TaskRecord): boolean {
  if (record.kept) return record.owner.bootId !== bootId();
  return !isOwnerAlive(record.owner);
}

/** Undefined when another process is removing the task at this moment, or has done so. */
async function reapTask(
  installation: Installation,
  record: TaskRecord,
): Promise<Removal | undefined> {
  const { layout, system } = installation;
  const places = taskPlaces(layout, record.id);
  let lock: number;
  try {
    lock = openSync(places.taskDir, 'r');
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    if (!system.lockFile(lock, { wait: false })) return undefined;
    return await removeAbandoned(installation, places, record);
  } finally {
    closeSync(lock);
  }
}

/**
 * Removes a task that no living process answers for. The runtime may still be at work on it, as an orphan:
 * it is ended first, or it would make again what is being removed.
 */
export async function removeAbandoned(
  installation: Installation,
  places: TaskPlaces,
  record: Pick<TaskRecord, 'bindCount' | 'runtime'>,
): Promise<Removal> {
  const { system } = installation;
  await endRuntime(places);
  const below = [places.taskDir, places.scratchDir].map((path) => `${path}/`);
  const mounts = readMounts().filter(({ mountPoint }) =>
    below.some((prefix) => mountPoint.startsWith(prefix)),
  );
  for (const { mountPoint } of mounts.reverse()) system.detachMount(mountPoint);
  return removeTask(installation, { ...record, places, keep: false });
}

/** Ends the runtime processes of a task: the bundle's path is in their arguments. */
async function endRuntime(places: TaskPlaces): Promise<void> {
  const endsAt = performance.now() + RUNTIME_GONE_WITHIN_MS;
  for (;;) {
    const left = findProcessesByArgument(places.bundle);
    if (left.length === 0 || performance.now() > endsAt) return;
    for (const pid of left) signalProcess(pid, constants.signals.SIGKILL);
    await delay(5);
  }
}

/** Task folders whose maker died before it could give them their name, or whose remover died before they were gone. */
function removeUnfinished({ layout }: Installation): void {
  for (const name of taskFolderNames(layout)) {
    const owner = parseUnfinishedName(name);
    if (owner === undefined || isOwnerAlive({ ...owner, bootId: bootId() })) continue;
    rmSync(`${tasksDir(layout)}/${name}`, { recursive: true, force: true });
  }
}

/** A writable layer without a task: its record went with the run folder, at a reboot. */
async function removeOrphanedScratch({ layout }: Installation): Promise<void> {
  // In this order: a task makes its folder before its scratch folder.
  const found = scratchNames(scratchDir(layout));
  const tasks = new Set(taskFolderNames(layout));
  for (const name of found) {
    if (isTaskId(name) && !tasks.has(name)) await removeTree(`${scratchDir(layout)}/${name}`);
  }
}

function scratchNames(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
}
