/** Ends any owner's task, from any process. */

import { closeSync, openSync } from 'node:fs';
import { findTenant } from '../../cgroup/cgroup-names.ts';
import { unlessMissing } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import { pause } from '../../core/pause.ts';
import { UNRECORDED_RUNTIME } from '../../runtime/drivers/driver-of.ts';
import { withFd } from '../../sys/paths.ts';
import {
  type AbandonedTask,
  removeAbandoned,
  removeTenants,
} from '../abandoned/remove-abandoned.ts';
import type { Installation } from '../installation.ts';
import { isOrphaned, isWaiting, lockRecord } from '../records/claim-record.ts';
import { isUnreadable, readRecord } from '../records/read-record.ts';
import { replaceRecord, type TaskRecord } from '../records/record.ts';
import { toTaskNotFound } from '../records/task-errors.ts';
import { recordedPlaces, type TaskPlaces, taskPlaces } from '../records/task-places.ts';
import { GONE, type Removal } from './remove-task.ts';
import { type OutsideStop, stopFromOutside } from './stop-from-outside.ts';

const POLL_MS = 10;
/** After KILL, the owner needs some time to remove the task. */
const OWNER_REMOVES_WITHIN_MS = 30_000;

export interface KillTaskOptions {
  /** Time between the task's stop signal and KILL; 0: KILL at once. */
  readonly graceMs: number;
}

/**
 * Ends the task and resolves when it is removed: by its owner if that is alive (the result says `cancelled`), otherwise by this process.
 * Also removes a kept task. Concurrent callers share the outcome; a later call finds no task. Rejects with ERR_STACKSHIM_TASK_NOT_FOUND.
 * `removed` is false if the owner has not removed the task within 30 s after KILL, or if something of the task is left.
 */
export async function killTask(
  installation: Installation,
  id: TaskId,
  { graceMs }: KillTaskOptions,
): Promise<Removal> {
  let record = readRecordOrNull(installation, id);
  if (record === undefined) throw toTaskNotFound('kill task', id);
  const { cgroups, layout } = installation;
  const places =
    record === null
      ? taskPlaces(layout, id, findTenant(cgroups, layout, id))
      : recordedPlaces(layout, record);
  const giveUpAt = performance.now() + graceMs + OWNER_REMOVES_WITHIN_MS;
  let stop: OutsideStop | undefined;
  for (; record !== undefined; record = readRecordOrNull(installation, id)) {
    if (hasOwner(places, record)) {
      if (stop === undefined && !markCancelled(places)) return GONE;
      stop ??= stopFromOutside(installation, places, graceMs);
      await stop(record);
    } else {
      // Nobody else removes the task: it waits for its command, is kept, is orphaned, or has an unreadable record.
      const removal = await removeOwnerless(installation, places, record);
      if (removal !== undefined) return removal;
    }
    if (performance.now() > giveUpAt) return { removed: false, leftovers: [places.taskDir] };
    await pause(POLL_MS);
  }
  return GONE;
}

/** Whether the owner removes the task at its end. */
const hasOwner = (places: TaskPlaces, record: TaskRecord | null): boolean =>
  record !== null && !record.kept && !isOrphaned(record) && !isWaiting(places, record);

/** Undefined if another process is removing the task, or has become its owner. */
async function removeOwnerless(
  installation: Installation,
  places: TaskPlaces,
  record: TaskRecord | null,
): Promise<Removal | undefined> {
  if (record === null) {
    return await removeOne(installation, { places, runtime: UNRECORDED_RUNTIME, bindCount: 0 });
  }
  const locked = lockRecord(installation, places.id, (found) => !hasOwner(places, found));
  if (locked === undefined) return undefined;
  const { record: found, lock } = locked;
  return await withFd(lock, async () => {
    // Disown the container first: if this process dies halfway, a reap must remove the rest, and nobody may claim it.
    if (isWaiting(places, found)) replaceRecord(places, { ...found, disowned: true });
    return await removeOne(installation, { ...found, places });
  });
}

async function removeOne(installation: Installation, task: AbandonedTask): Promise<Removal> {
  const reaped = await removeAbandoned(installation, [task]);
  await removeTenants(installation);
  const leftovers = reaped.flatMap((one) => one.leftovers);
  return { removed: leftovers.length === 0, leftovers };
}

/** Null: the task exists, but its record is unreadable. Its names follow from its id. */
function readRecordOrNull(installation: Installation, id: TaskId): TaskRecord | null | undefined {
  try {
    return readRecord(installation.layout, id);
  } catch (error) {
    if (isUnreadable(error)) return null;
    throw error;
  }
}

/** Returns false if the task is gone. */
function markCancelled({ cancelFile }: TaskPlaces): boolean {
  const fd = unlessMissing(() => openSync(cancelFile, 'w', 0o600));
  if (fd !== undefined) closeSync(fd);
  return fd !== undefined;
}
