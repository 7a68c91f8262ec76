/** Whether there is room for a lane's next job. Keeps room free for a large job that others overtake. */
import type { TenantName } from '../../core/ids.ts';
import type { Needs } from '../taken-job.ts';
import type { Budget, Reservation } from './budget/budget.ts';
import { fitsIn, lowerCpus, NO_NEEDS } from './budget/needs.ts';
import type { IntakeOptions, IntakePace } from './intake-options.ts';
import type { LaneState } from './lanes/lane-state.ts';

/** Jobs that keep a lane from being served are looked at again after this time: they may have been removed. */
const HEADS_AGE_MS = 15_000;

type RoomOptions = Pick<IntakeOptions, 'budget' | 'usualNeeds' | 'mostNeeds' | 'clock'>;

export class RoomForLanes {
  readonly #budget: Budget;
  readonly #options: RoomOptions;
  readonly #pace: IntakePace;
  /** The largest needs of a job; undefined if the policy does not bound them. */
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

  /** Returns the test for one choice of a lane. True also for a lane whose next job is not known. */
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

  /** Whether to look at the lane's next jobs before a take. Not needed if any job would fit. */
  mustPeek({ heads }: LaneState): boolean {
    if (heads !== undefined && heads.needs.length > 0) return false;
    if (this.#most === undefined) return true;
    return !fitsIn(lowerCpus(this.#most, this.#budget.total()), this.#budget.room());
  }

  /** Reserves room for the lane's next job. Undefined if there is none, because another worker reserved first. */
  reserve(state: LaneState): Reservation | undefined {
    const possible = this.#budget.possible();
    const next = state.heads?.needs.shift() ?? this.#most ?? this.#options.usualNeeds;
    const needs = lowerCpus(next, possible);
    const { name, maxTasks } = state.tenant;
    const reservation = this.#budget.reserve({
      // A job that this machine can never hold reserves nothing; its handler reports that when it asks for room.
      needs: fitsIn(needs, possible) ? needs : NO_NEEDS,
      tenant: name === '' ? undefined : (name as TenantName),
      maxTasks: Number.isFinite(maxTasks) ? maxTasks : undefined,
      sinceMs: state.waitsSinceMs,
    });
    if (reservation === undefined) state.heads?.needs.unshift(next);
    return reservation;
  }

  /** Records what a look has found. */
  seen(state: LaneState, needs: Needs[]): void {
    const now = this.#options.clock.monotonicMs();
    const possible = this.#budget.possible();
    const [next] = needs;
    state.heads = { needs, seenAtMs: now };
    const isTooLarge = next !== undefined && !fitsIn(lowerCpus(next, possible), possible);
    state.tooLargeSinceMs = isTooLarge ? (state.tooLargeSinceMs ?? now) : undefined;
  }

  /** Call this for the most entitled lane if its next job does not fit, so that smaller jobs of other lanes or workers go first. */
  noteWait(state: LaneState): void {
    const now = this.#options.clock.monotonicMs();
    const [next] = state.heads?.needs ?? [];
    const total = this.#budget.total();
    // Room would not help without a seat, or if the job is too large for the machine or its free disk.
    if (next === undefined || !this.#hasSeat(state) || !fitsIn(lowerCpus(next, total), total))
      return;
    state.waitsSinceMs ??= now;
    if (this.#kept !== undefined) return;
    if (now - state.waitsSinceMs < this.#pace.keepRoomAfterMs) return;
    const claim = { needs: lowerCpus(next, total), sinceMs: state.waitsSinceMs };
    this.#kept = { state, drop: this.#budget.claim(claim).drop };
  }

  /** Stops keeping room free. */
  close(): void {
    this.#kept?.drop();
    this.#kept = undefined;
  }

  /** Whether the tenant may have another task, counting other workers on this machine. */
  #hasSeat({ tenant }: LaneState): boolean {
    const { name, held, maxTasks } = tenant;
    if (name === '' || !Number.isFinite(maxTasks)) return true;
    return held + this.#budget.tasksOfOthers(name as TenantName) < maxTasks;
  }

  /** Whether larger machines had their time to take the lane's next job; less time if it holds up other jobs of the lane. */
  #isDue({ tooLargeSinceMs, heads }: LaneState, now: number): boolean {
    if (tooLargeSinceMs === undefined) return false;
    const { tooLargeAfterMs, tooLargeHoldMs } = this.#pace;
    const isAlone = (heads?.needs.length ?? 0) <= 1;
    return now - tooLargeSinceMs >= (isAlone ? tooLargeAfterMs : tooLargeHoldMs);
  }
}
