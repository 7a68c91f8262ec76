/** Whether there is room for the next job of a lane; keeps room free for a large job that others overtake. */
import type { TenantName } from '../../core/ids.ts';
import type { Needs } from '../taken-job.ts';
import type { Budget, Reservation } from './budget/budget.ts';
import { fitsIn, lowerCpus, NO_NEEDS } from './budget/needs.ts';
import type { IntakeOptions, IntakePace } from './intake-options.ts';
import type { LaneState } from './lanes/lane-state.ts';

/** What was seen of a lane is looked at again after this time, if it keeps the lane from being served: the job may have been removed. */
const HEADS_AGE_MS = 15_000;

type RoomOptions = Pick<IntakeOptions, 'budget' | 'usualNeeds' | 'mostNeeds' | 'clock'>;

export class RoomForLanes {
  readonly #budget: Budget;
  readonly #options: RoomOptions;
  readonly #pace: IntakePace;
  /** What a job may need at most; undefined if the policy does not say. */
  readonly #most: Needs | undefined;
  #kept: { readonly state: LaneState; readonly drop: () => void } | undefined;

  constructor(options: RoomOptions, pace: IntakePace) {
    this.#options = options;
    this.#pace = pace;
    this.#budget = options.budget;
    const { memoryBytes, diskBytes, cpus } = options.mostNeeds;
    const isBounded = memoryBytes !== undefined && diskBytes !== undefined;
    this.#most = isBounded
      ? { memoryBytes, diskBytes, cpus: cpus ?? Number.POSITIVE_INFINITY }
      : undefined;
  }

  /** The test of one choice: true also for a lane whose next job is not known. */
  fits(): (state: LaneState) => boolean {
    if (this.#kept?.state.waitsSinceMs === undefined) this.close();
    const now = this.#options.clock.monotonicMs();
    const possible = this.#budget.possible();
    const room = this.#budget.room();
    return (state) => {
      if (!this.#hasSeat(state)) return false;
      const [next] = state.heads?.needs ?? [];
      if (next === undefined) return true;
      const needs = lowerCpus(next, possible);
      const own = this.#kept?.state === state ? this.#budget.room(state.waitsSinceMs) : room;
      if (fitsIn(needs, possible) ? fitsIn(needs, own) : this.#isDue(state, now)) return true;
      if (now - (state.heads?.seenAtMs ?? 0) < HEADS_AGE_MS) return false;
      state.heads = undefined;
      return true;
    };
  }

  /** Whether to look at the lane's next jobs before a take: not if any job would fit. */
  mustPeek({ heads }: LaneState): boolean {
    if (heads !== undefined && heads.needs.length > 0) return false;
    if (this.#most === undefined) return true;
    return !fitsIn(lowerCpus(this.#most, this.#budget.total()), this.#budget.room());
  }

  /** Reserves for the lane's next job. Undefined if another worker was faster. */
  reserve(state: LaneState): Reservation | undefined {
    const possible = this.#budget.possible();
    const next = state.heads?.needs.shift() ?? this.#most ?? this.#options.usualNeeds;
    const needs = lowerCpus(next, possible);
    const { name, maxTasks } = state.tenant;
    const reservation = this.#budget.reserve({
      // A job that this machine can never hold gets no room: its handler says so when it asks for it.
      needs: fitsIn(needs, possible) ? needs : NO_NEEDS,
      tenant: name === '' ? undefined : (name as TenantName),
      maxTasks: Number.isFinite(maxTasks) ? maxTasks : undefined,
      sinceMs: state.waitsSinceMs,
    });
    if (reservation === undefined) state.heads?.needs.unshift(next);
    return reservation;
  }

  /** Notes what a look has found. */
  seen(state: LaneState, needs: Needs[]): void {
    const now = this.#options.clock.monotonicMs();
    const possible = this.#budget.possible();
    const [next] = needs;
    state.heads = { needs, seenAtMs: now };
    const isTooLarge = next !== undefined && !fitsIn(lowerCpus(next, possible), possible);
    state.tooLargeSinceMs = isTooLarge ? (state.tooLargeSinceMs ?? now) : undefined;
  }

  /** The lane comes first, but its next job does not fit: smaller jobs of other lanes, or of other workers, are taken instead. */
  noteWait(state: LaneState): void {
    const now = this.#options.clock.monotonicMs();
    const [next] = state.heads?.needs ?? [];
    const total = this.#budget.total();
    // Without a seat, or with a job that is too large, also for the free disk, room would not help.
    if (next === undefined || !this.#hasSeat(state) || !fitsIn(lowerCpus(next, total), total))
      return;
    state.waitsSinceMs ??= now;
    if (this.#kept !== undefined) return;
    if (now - state.waitsSinceMs < this.#pace.keepRoomAfterMs) return;
    const claim = { needs: lowerCpus(next, total), sinceMs: state.waitsSinceMs };
    this.#kept = { state, drop: this.#budget.claim(claim).drop };
  }

  /** Keeps no room any more. */
  close(): void {
    this.#kept?.drop();
    this.#kept = undefined;
  }

  /** Whether the tenant may have another task, also of other workers on this machine. */
  #hasSeat({ tenant }: LaneState): boolean {
    const { name, held, maxTasks } = tenant;
    if (name === '' || !Number.isFinite(maxTasks)) return true;
    return held + this.#budget.tasksOfOthers(name as TenantName) < maxTasks;
  }

  /** Whether a larger machine has had its time to take the lane's next job. Less time, if the job holds up others of its lane. */
  #isDue({ tooLargeSinceMs, heads }: LaneState, now: number): boolean {
    if (tooLargeSinceMs === undefined) return false;
    const { tooLargeAfterMs, tooLargeHoldMs } = this.#pace;
    const isAlone = (heads?.needs.length ?? 0) <= 1;
    return now - tooLargeSinceMs >= (isAlone ? tooLargeAfterMs : tooLargeHoldMs);
  }
}
