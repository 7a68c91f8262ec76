/** Enforces the time limits of tasks whose owners cannot, because their event loop is busy or their process is stopped. */
import { toStackshimError } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import { monotonicMs } from '../../sys/clocks.ts';
import { isRunning } from '../../sys/handled-process.ts';
import { isOwnerAlive, type Owner } from '../../sys/processes.ts';
import { OutsideStop } from '../ending/stop-from-outside.ts';
import type { Installation } from '../installation.ts';
import { readRecord } from '../records/read-record.ts';
import { readTimeLimit } from '../records/read-time-limit.ts';
import { claimOverdue, type TimeLimit } from '../records/record.ts';
import { recordedPlaces, type TaskPlaces, taskPlaces } from '../records/task-places.ts';

/** How long an owner on a busy machine may need to act after its timer. */
const OWNER_ACTS_WITHIN_MS = 500;
/** How long the process that sent the stop signal (the owner, or another holder) has to finish the job. */
const OTHERS_ACT_WITHIN_MS = 1_500;
/** How long a time limit that was read is trusted: another task may have got the same name. */
const READ_AGAIN_MS = 10_000;
/** How often to look. */
export const LIMIT_LOOK_MS = 500;

export class LimitHolder {
  readonly #installation: Installation;
  readonly #isMine: (owner: Owner) => boolean;
  /** Tasks that are being stopped; null while a call is stopping the task. */
  readonly #stops = new Map<TaskId, OutsideStop | null>();

  /** When the time limit of a task must be read again. */
  readonly #readAgainAt = new Map<TaskId, number>();

  /** @param isMine Selects the owners whose tasks are held to their time. Tasks of dead owners are left to a reap. */
  constructor(installation: Installation, isMine: (owner: Owner) => boolean = () => true) {
    this.#installation = installation;
    this.#isMine = isMine;
  }

  /** Looks at these tasks once: stops those that have passed their time; a later look kills them. The next look retries a failed one. */
  look(ids: Iterable<TaskId>): void {
    const now = monotonicMs();
    const seen = new Set(ids);
    for (const kept of [this.#stops, this.#readAgainAt]) {
      for (const id of kept.keys()) if (!seen.has(id)) kept.delete(id);
    }
    for (const id of seen) if (now >= (this.#readAgainAt.get(id) ?? 0)) this.#lookAt(id, now);
  }

  #lookAt(id: TaskId, now: number): void {
    let limit: TimeLimit | undefined;
    try {
      limit = readTimeLimit(taskPlaces(this.#installation.layout, id));
    } catch (error) {
      warn(error, id);
    }
    const actAt = (limit?.endsAtMs ?? Number.POSITIVE_INFINITY) + OWNER_ACTS_WITHIN_MS;
    if (limit !== undefined && now > actAt) {
      if (this.#stops.get(id) !== null) void this.#stop(id, limit);
      return;
    }
    this.#stops.delete(id);
    if (limit !== undefined) this.#readAgainAt.set(id, Math.min(actAt, now + READ_AGAIN_MS));
  }

  async #stop(id: TaskId, limit: TimeLimit): Promise<void> {
    const begun = this.#stops.get(id);
    this.#stops.set(id, null);
    let stop: OutsideStop | undefined;
    try {
      const { layout, cgroups } = this.#installation;
      const record = readRecord(layout, id);
      if (record === undefined || record.kept || record.disowned) return;
      if (!this.#isMine(record.owner) || !isOwnerAlive(record.owner)) return;
      const places = recordedPlaces(layout, record);
      // The task may have ended in time without its owner having noticed.
      if (!cgroups.listProcesses(places.cgroupsPath).some(isRunning)) return;
      const current = begun ?? this.#begin(places, limit);
      await current.again(record);
      stop = current;
    } catch (error) {
      warn(error, id);
    } finally {
      if (stop === undefined) this.#stops.delete(id);
      else this.#stops.set(id, stop);
    }
  }

  #begin(places: TaskPlaces, { endsAtMs, graceMs }: TimeLimit): OutsideStop {
    if (claimOverdue(places)) return new OutsideStop(this.#installation, places, { graceMs });
    const leftMs = endsAtMs + graceMs + OTHERS_ACT_WITHIN_MS - monotonicMs();
    const options = { graceMs: Math.max(0, leftMs), isAsked: true };
    return new OutsideStop(this.#installation, places, options);
  }
}

/** The next look retries; the warning tells the operator of this process what failed. */
function warn(error: unknown, id: TaskId): void {
  const operation = `hold task ${id} to its time`;
  process.emitWarning(toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', operation));
}
