/** Ends a task of any owner, from any process. */
import { closeSync, openSync } from 'node:fs';
import { errnoCodeOf, StackshimError } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import { pause } from '../../core/pause.ts';
import { UNRECORDED_RUNTIME } from '../../runtime/drivers/driver-of.ts';
import { isOwnerAlive } from '../../sys/processes.ts';
import { removeAbandoned, removeTenants } from '../abandoned/remove-abandoned.ts';
import { findTenant } from '../cgroup-parent.ts';
import type { Installation } from '../installation.ts';
import { readRecord } from '../records/read-record.ts';
import type { TaskRecord } from '../records/record.ts';
import { type TaskPlaces, taskPlaces } from '../records/task-places.ts';
import type { Removal } from './remove-task.ts';
import { OutsideStop } from './stop-from-outside.ts';

const POLL_MS = 10;
/** After KILL, the owner needs moments to remove the task. */
const OWNER_REMOVES_WITHIN_MS = 30_000;

/** How a task is ended. */
export interface KillTaskOptions {
  /** Between the task's stop signal and KILL; 0 kills at once. */
  readonly graceMs: number;
}

/**
 * Ends the task and resolves when it is removed: by its owner while that lives (which reports `cancelled`), else by this process.
 * A kept task is removed. Two callers at once share the outcome; a second call finds no task. Rejects with ERR_STACKSHIM_TASK_NOT_FOUND.
 * `removed` is false when the owner has not removed the task within 30 s after KILL, or when something of it is left.
 */
export async function killTask(
  installation: Installation,
  id: TaskId,
  options: KillTaskOptions,
): Promise<Removal> {
  const record = readRecordOrNull(installation, id);
  if (record === undefined) {
    throw new StackshimError('ERR_STACKSHIM_TASK_NOT_FOUND', `kill task ${id}: no such task`, {
      details: { id },
    });
  }
  const { cgroups, layout } = installation;
  const tenant = record === null ? findTenant(cgroups, layout, id) : record.tenant;
  const places = taskPlaces(layout, id, tenant);
  return hasOwner(record)
    ? await askOwner(installation, places, options)
    : await removeOwnerless(installation, places, record);
}

/** Whether someone else is going to remove the task at its end. */
const hasOwner = (record: TaskRecord | null): boolean =>
  record !== null && !record.kept && !record.disowned && isOwnerAlive(record.owner);

async function removeOwnerless(
  installation: Installation,
  places: TaskPlaces,
  record: TaskRecord | null,
): Promise<Removal> {
  const { runtime = UNRECORDED_RUNTIME, bindCount = 0 } = record ?? {};
  const reaped = await removeAbandoned(installation, [{ places, runtime, bindCount }]);
  await removeTenants(installation);
  const leftovers = reaped.flatMap((task) => task.leftovers);
  return { removed: leftovers.length === 0, leftovers };
}

/** Null: there is a task, but its record cannot be read. Its names follow from its id all the same. */
function readRecordOrNull(installation: Installation, id: TaskId): TaskRecord | null | undefined {
  try {
    return readRecord(installation.layout, id);
  } catch (error) {
    if (error instanceof StackshimError && error.code === 'ERR_STACKSHIM_RECORD_CORRUPT')
      return null;
    throw error;
  }
}

/**
 * Marks the task as cancelled, signals its processes, and waits until its owner has removed it. What the owner leaves,
 * because it keeps the task or because it dies meanwhile, is removed here.
 */
async function askOwner(
  installation: Installation,
  places: TaskPlaces,
  { graceMs }: KillTaskOptions,
): Promise<Removal> {
  if (!markCancelled(places)) return { removed: true, leftovers: [] };
  const stop = new OutsideStop(installation, places, { graceMs });
  const giveUpAt = stop.killAt + OWNER_REMOVES_WITHIN_MS;
  for (;;) {
    const record = readRecordOrNull(installation, places.id);
    if (record === undefined) return { removed: true, leftovers: [] };
    if (!hasOwner(record)) return await removeOwnerless(installation, places, record);
    if (performance.now() > giveUpAt) return { removed: false, leftovers: [places.taskDir] };
    await stop.again(record);
    await pause(POLL_MS);
  }
}

/** False when the task has gone meanwhile. */
function markCancelled(places: TaskPlaces): boolean {
  try {
    closeSync(openSync(places.cancelFile, 'w', 0o600));
    return true;
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return false;
    throw error;
  }
}
