/** Holds tasks to their time while their owners cannot: a busy event loop, a stopped process. */
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

/** After its timer an owner needs moments to act, on a busy machine. */
const OWNER_ACTS_WITHIN_MS = 500;
/** Whoever has sent the stop signal sees to the rest, too: the owner, or another holder a look later. */
const OTHERS_ACT_WITHIN_MS = 1_500;
/** Another task may have got the name of one that was seen. */
const READ_AGAIN_MS = 10_000;
/** How often to look. */
export const LIMIT_LOOK_MS = 500;

export class LimitHolder {
  readonly #installation: Installation;
  readonly #isMine: (owner: Owner) => boolean;
  /** Tasks that are being stopped; null: it is seen to at this moment. */
  readonly #stops = new Map<TaskId, OutsideStop | null>();

  /** Limits that need not be read before. */
  readonly #readAgainAt = new Map<TaskId, number>();

  /** @param isMine Whose tasks are held to their time. Those of dead owners are for who reaps. */
  constructor(installation: Installation, isMine: (owner: Owner) => boolean = () => true) {
    this.#installation = installation;
    this.#isMine = isMine;
  }

  /** One look at these tasks: those that have passed their time are stopped, and killed by a later look. A look that fails is made again. */
  look(ids: Iterable<TaskId>): void {
    const now = monotonicMs();
    const seen = new Set(ids);
    for (const kept of [this.#stops, this.#readAgainAt]) {
      for (const id of kept.keys()) if (!seen.has(id)) kept.delete(id);
    }
    for (const id of seen) if (now >= (this.#readAgainAt.get(id) ?? 0)) this.#lookAt(id, now);
  }

  #lookAt(id: TaskId, now: number): void {
    const limit = this.#limitOf(id);
    const actAt = limit === undefined ? undefined : limit.endsAtMs + OWNER_ACTS_WITHIN_MS;
    if (limit !== undefined && actAt !== undefined && now > actAt) {
      if (this.#stops.get(id) !== null) void this.#stop(id, limit);
      return;
    }
    this.#stops.delete(id);
    if (actAt !== undefined) this.#readAgainAt.set(id, Math.min(actAt, now + READ_AGAIN_MS));
  }

  #limitOf(id: TaskId): TimeLimit | undefined {
    try {
      return readTimeLimit(taskPlaces(this.#installation.layout, id));
    } catch (error) {
      warn(error, id);
      return undefined;
    }
  }

  async #stop(id: TaskId, limit: TimeLimit): Promise<void> {
    const begun = this.#stops.get(id) ?? undefined;
    this.#stops.set(id, null);
    try {
      const stop = await this.#stopOnce(id, { limit, begun });
      if (stop === undefined) this.#stops.delete(id);
      else this.#stops.set(id, stop);
    } catch (error) {
      warn(error, id);
      this.#stops.delete(id);
    }
  }

  /** Undefined: there is nothing to stop. */
  async #stopOnce(id: TaskId, { limit, begun }: Overdue): Promise<OutsideStop | undefined> {
    const { layout, cgroups } = this.#installation;
    const record = readRecord(layout, id);
    if (record === undefined || record.kept || record.disowned) return undefined;
    if (!this.#isMine(record.owner) || !isOwnerAlive(record.owner)) return undefined;
    const places = recordedPlaces(layout, record);
    // It may have ended in time, and its owner not know of it.
    if (!cgroups.listProcesses(places.cgroupsPath).some(isRunning)) return undefined;
    const stop = begun ?? this.#begin(places, limit);
    await stop.again(record);
    return stop;
  }

  #begin(places: TaskPlaces, { endsAtMs, graceMs }: TimeLimit): OutsideStop {
    if (claimOverdue(places)) return new OutsideStop(this.#installation, places, { graceMs });
    const leftMs = endsAtMs + graceMs + OTHERS_ACT_WITHIN_MS - monotonicMs();
    const options = { graceMs: Math.max(0, leftMs), isAsked: true };
    return new OutsideStop(this.#installation, places, options);
  }
}

interface Overdue {
  readonly limit: TimeLimit;
  readonly begun: OutsideStop | undefined;
}

/** A look is made again; whoever keeps this process running hears of what went wrong. */
function warn(error: unknown, id: TaskId): void {
  const operation = `hold task ${id} to its time`;
  process.emitWarning(toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', operation));
}
