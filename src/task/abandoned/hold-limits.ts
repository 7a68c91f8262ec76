/** Enforces the time limits of tasks whose owners cannot: their event loop is busy, or their process is stopped. */
import type { TaskId } from '../../core/ids.ts';
import { monotonicMs } from '../../sys/clocks.ts';
import { isRunning } from '../../sys/handled-process.ts';
import { isOwnerAlive, type Owner } from '../../sys/processes.ts';
import { type OutsideStop, stopFromOutside } from '../ending/stop-from-outside.ts';
import { warnOf } from '../events.ts';
import type { Installation } from '../installation.ts';
import { readRecord } from '../records/read-record.ts';
import { readTimeLimit } from '../records/read-time-limit.ts';
import { claimOverdue, type TimeLimit } from '../records/record.ts';
import { recordedPlaces, type TaskPlaces, taskPlaces } from '../records/task-places.ts';

/** The time that an owner on a busy machine may need to act after its timer. */
const OWNER_ACTS_WITHIN_MS = 500;
/** The time that the sender of the stop signal (the owner, or another enforcer) has to kill the task after the grace time. */
const OTHERS_ACT_WITHIN_MS = 1_500;
/** How long to trust a time limit after reading it: by then, another task may have the same id. */
const READ_AGAIN_MS = 10_000;
export const LIMIT_LOOK_MS = 500;

/**
 * Returns a function that checks tasks once. It stops those that have passed their
 * time limit; a later call kills them. The next call retries after a failure.
 *
 * @param isMine Selects the owners whose tasks to check. Tasks of dead owners are left to a reap.
 */
export function holdLimits(
  installation: Installation,
  isMine: (owner: Owner) => boolean = () => true,
): (ids: Iterable<TaskId>) => void {
  /** Stops in progress; null while a call is stopping the task. */
  const stops = new Map<TaskId, OutsideStop | null>();
  /** When to read a task's time limit again. */
  const readAgainAt = new Map<TaskId, number>();
  const stop = async (id: TaskId, limit: TimeLimit) => {
    const begun = stops.get(id);
    stops.set(id, null);
    let stopAgain: OutsideStop | undefined;
    try {
      const { layout, cgroups } = installation;
      const record = readRecord(layout, id);
      if (record === undefined || record.kept || record.disowned) return;
      if (!isMine(record.owner) || !isOwnerAlive(record.owner)) return;
      const places = recordedPlaces(layout, record);
      // The task may have ended in time, unnoticed by its owner.
      if (!cgroups.listProcesses(places.cgroupsPath).some(isRunning)) return;
      const current = begun ?? beginStop(installation, places, limit);
      await current(record);
      stopAgain = current;
    } catch (error) {
      warnOf(`hold task ${id} to its time`, error);
    } finally {
      if (stopAgain === undefined) stops.delete(id);
      else stops.set(id, stopAgain);
    }
  };
  const lookAt = (id: TaskId, now: number) => {
    let limit: TimeLimit | undefined;
    try {
      limit = readTimeLimit(taskPlaces(installation.layout, id));
    } catch (error) {
      warnOf(`hold task ${id} to its time`, error);
    }
    const actAt = (limit?.endsAtMs ?? 0) + OWNER_ACTS_WITHIN_MS;
    if (limit !== undefined && now > actAt) {
      if (stops.get(id) !== null) void stop(id, limit);
      return;
    }
    stops.delete(id);
    if (limit !== undefined) readAgainAt.set(id, Math.min(actAt, now + READ_AGAIN_MS));
  };
  return (ids) => {
    const now = monotonicMs();
    const seen = new Set(ids);
    for (const kept of [stops, readAgainAt]) {
      for (const id of kept.keys()) if (!seen.has(id)) kept.delete(id);
    }
    for (const id of seen) if (now >= (readAgainAt.get(id) ?? 0)) lookAt(id, now);
  };
}

function beginStop(
  installation: Installation,
  places: TaskPlaces,
  { endsAtMs, graceMs }: TimeLimit,
): OutsideStop {
  if (claimOverdue(places)) return stopFromOutside(installation, places, graceMs);
  const leftMs = endsAtMs + graceMs + OTHERS_ACT_WITHIN_MS - monotonicMs();
  return stopFromOutside(installation, places, Math.max(0, leftMs), true);
}
