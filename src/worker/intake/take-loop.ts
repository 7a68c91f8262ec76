/** Takes jobs: chooses a lane, reserves room, asks the store, passes the job on. */
import type { Job } from 'bullmq';
import { within } from '../../core/pause.ts';
import type { Reservation } from './budget/budget.ts';
import { lowerCpus } from './budget/needs.ts';
import { toRoom } from './budget/room.ts';
import type { IntakeOptions } from './intake-options.ts';
import { parseJobNeeds } from './job-needs.ts';
import { chooseLane } from './lanes/choose-lane.ts';
import type { LaneBook, NextOfLane } from './lanes/lane-book.ts';
import type { laneCaps } from './lanes/lane-caps.ts';
import type { LaneState } from './lanes/lane-state.ts';
import { type LaneTaker, openLaneTaker, type TakeReply } from './lanes/lane-taker.ts';
import type { RoomForLanes } from './room-for-lanes.ts';
import type { StoreTrust } from './store-trust.ts';

export interface TakeLoopParts {
  readonly book: LaneBook;
  readonly ensureCap: ReturnType<typeof laneCaps>;
  readonly trust: Pick<StoreTrust, 'mayTake'>;
  readonly rooms: RoomForLanes;
  /** Milliseconds since 1970 by the clock that decides when a delayed job is due. */
  readonly storeNowMs: () => number;
}

/** The maximum of simultaneous takes and looks. */
const MOST_TAKES = 32;
/** No further request is sent while the store has not answered one for this long. */
const SLOW_MS = 1_000;
/** The number of a lane's next jobs that a look reads. */
const PEEKED = 16;
const NOTE_AGE_MS = 15_000;
const STOP_WAIT_MS = 1_000;
const [FIRST_REST_MS, LONGEST_REST_MS] = [100, 30_000];
const ALL_REST_MS = 1_000;

export class TakeLoop {
  readonly #options: IntakeOptions;
  readonly #parts: TakeLoopParts;
  readonly #takers = new WeakMap<LaneState, LaneTaker>();
  /** When the pending takes were sent, oldest first. */
  readonly #sent = new Map<string, number>();
  readonly #idle = new Set<() => void>();
  #taking = 0;
  #running = 0;
  #hasBegun = false;
  #isStopping = false;
  #isReachable = true;
  /** Tenants with a failed lane since the last success: a tenant that damages its own lanes must not stop others. */
  readonly #failing = new Set<string>();
  #resting: NodeJS.Timeout | undefined;
  #isScheduled = false;

  constructor(options: IntakeOptions, parts: TakeLoopParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** Allows takes: the lanes with jobs are known. A second call does nothing. */
  begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.look();
  }

  /** Looks for jobs to take, in a later turn of the event loop. */
  look(): void {
    if (this.#isScheduled || this.#isStopping) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      try {
        this.#takeAll();
      } catch (error) {
        this.#options.onError?.(error, undefined);
        this.#rest(FIRST_REST_MS);
      }
    });
  }

  setReachable(isReachable: boolean): void {
    this.#isReachable = isReachable;
    this.look();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#resting);
    // Jobs in later replies are handed back.
    await within(
      this.#until(() => this.#taking === 0),
      STOP_WAIT_MS,
    );
  }

  idle(): Promise<void> {
    return this.#until(() => this.#taking === 0 && this.#running === 0);
  }

  #takeAll(): void {
    const { book, rooms } = this.#parts;
    while (this.#mayTake()) {
      const { lane, tooSoon } = chooseLane(book.ready, rooms.fits());
      if (tooSoon !== undefined) rooms.noteWait(tooSoon);
      if (lane === undefined || !this.#begin(lane)) break;
    }
    // A place is free, so the ready lanes wait for room.
    if (book.ready.size > 0 && this.#mayTake()) this.#options.budget.expectRoom();
  }

  #mayTake(): boolean {
    if (!this.#hasBegun || this.#isStopping) return false;
    if (!this.#isReachable || this.#resting !== undefined) return false;
    if (!this.#parts.trust.mayTake || this.#taking >= MOST_TAKES) return false;
    if (this.#taking + this.#running >= this.#options.concurrency) return false;
    const [oldest] = this.#sent.values();
    return oldest === undefined || this.#options.clock.monotonicMs() - oldest < SLOW_MS;
  }

  /** Returns false if there was no room after all. */
  #begin(state: LaneState): boolean {
    const { rooms } = this.#parts;
    if (rooms.mustPeek(state)) {
      this.#beginRequest(state);
      state.isPeeking = true;
      void this.#peek(state);
      return true;
    }
    const reservation = rooms.reserve(state);
    if (reservation === undefined) return false;
    this.#beginRequest(state);
    void this.#take(state, reservation);
    return true;
  }

  #beginRequest(state: LaneState): void {
    this.#taking += 1;
    this.#parts.book.begin(state);
  }

  async #peek(state: LaneState): Promise<void> {
    const { bells } = state;
    let next: NextOfLane;
    try {
      const { names, dueMs } = await this.#options.store.peek(state.lane, PEEKED);
      this.#failing.clear();
      const { usualNeeds, mostNeeds } = this.#options;
      // The take itself moves due delayed jobs to the waiting ones.
      const found = names.length === 0 && this.#isDue(dueMs) ? ['v1'] : names;
      const needs = found.map((name) => parseJobNeeds(name, usualNeeds, mostNeeds));
      this.#parts.rooms.seen(state, needs);
      state.eagerness = Math.max(state.eagerness, found.length);
      next = found.length > 0 ? 'seen' : this.#afterNothing(state, bells, dueMs);
    } catch (error) {
      next = this.#afterFailure(state, error);
    }
    state.isPeeking = false;
    this.#endRequest(state, next);
  }

  async #take(state: LaneState, reservation: Reservation): Promise<void> {
    const { bells } = state;
    const token = this.#options.newToken();
    let taken: Taken | undefined;
    let next: NextOfLane = 'ready';
    try {
      const taker = await this.#prepare(state);
      if (!this.#isStopping) {
        const sentAtMs = this.#options.clock.monotonicMs();
        this.#sent.set(token, sentAtMs);
        const reply = await taker.take(token);
        this.#failing.clear();
        taken = { ...reply, token, sentAtMs, bells, reservation, taker };
      }
    } catch (error) {
      next = this.#afterFailure(state, error);
    }
    this.#sent.delete(token);
    if (taken !== undefined) return this.#receive(state, taken);
    reservation.release();
    this.#endRequest(state, next);
  }

  async #prepare(state: LaneState): Promise<LaneTaker> {
    const { store, clock, worker } = this.#options;
    await this.#parts.ensureCap(state.lane);
    if (clock.monotonicMs() - state.notedAtMs > NOTE_AGE_MS) {
      state.notedAtMs = clock.monotonicMs();
      await store.noteActive(state.lane);
    }
    const taker = this.#takers.get(state) ?? openLaneTaker(store, state.lane, worker);
    this.#takers.set(state, taker);
    return taker;
  }

  #receive(state: LaneState, taken: Taken): void {
    const { job, scheduleError, strange, dueMs, limitedForMs, reservation } = taken;
    const { clock, lockMs } = this.#options;
    if (job === undefined) {
      reservation.release();
      if (strange !== undefined) this.#options.onError?.(strange, state.lane);
      const next = this.#afterNothing(state, taken.bells, dueMs, limitedForMs);
      this.#endRequest(state, strange === undefined ? next : 'ready');
      return;
    }
    if (scheduleError !== undefined) this.#options.onError?.(scheduleError, state.lane);
    const isTooOld = clock.monotonicMs() - taken.sentAtMs > lockMs / 2;
    if (this.#isStopping || isTooOld || !this.#parts.trust.mayTake) {
      reservation.release();
      void this.#handBack(state, job, taken);
      return;
    }
    this.#taking -= 1;
    this.#running += 1;
    this.#parts.book.found(state);
    void this.#handle(state, job, taken);
    this.look();
  }

  /** Puts the job back, then ends the request as one that found nothing. */
  async #handBack(state: LaneState, job: Job, { token, taker }: Taken): Promise<void> {
    const { store, onError } = this.#options;
    try {
      await taker.backend.moveJobFromActiveToWait(job.id ?? '', token);
      await store.ring(state.lane);
    } catch (error) {
      // The job waits again once the lock has expired.
      onError?.(error, state.lane);
    }
    this.#endRequest(state, 'ready');
  }

  async #handle(state: LaneState, job: Job, taken: Taken): Promise<void> {
    const { lane } = state;
    const { reservation, token, sentAtMs, taker } = taken;
    const { store, budget, usualNeeds, mostNeeds, handle, onError, clock } = this.#options;
    // The reservation may be for the largest needs of any job, or for another job.
    const needs = parseJobNeeds(job.name, usualNeeds, mostNeeds);
    reservation.resize(lowerCpus(needs, budget.total()));
    try {
      const room = toRoom(budget, reservation, clock);
      const { backend } = taker;
      await handle({ lane, id: job.id ?? '', token, job, backend, sentAtMs, room });
    } catch (error) {
      onError?.(error, lane);
    }
    reservation.release();
    this.#running -= 1;
    this.#parts.book.ended(state);
    if (lane.code !== undefined) {
      // The lane's cap now leaves room for a job of another worker.
      store.ring(lane).catch((error: unknown) => onError?.(error, lane));
    }
    this.#settled(state);
  }

  #afterNothing(
    state: LaneState,
    bells: number,
    dueMs: number | undefined,
    limitedForMs?: number,
  ): NextOfLane {
    if (limitedForMs !== undefined) return { parkedForMs: limitedForMs };
    if (state.bells !== bells) return 'ready';
    if (dueMs === undefined) return 'parked';
    return { parkedForMs: this.#isDue(dueMs) ? FIRST_REST_MS : dueMs - this.#parts.storeNowMs() };
  }

  #isDue(dueMs: number | undefined): boolean {
    return dueMs !== undefined && dueMs <= this.#parts.storeNowMs();
  }

  /** Rests the lane, longer after each failure. Rests all lanes if lanes of several tenants fail and none succeeds. */
  #afterFailure(state: LaneState, error: unknown): NextOfLane {
    this.#options.onError?.(error, state.lane);
    state.failures += 1;
    this.#failing.add(state.tenant.name);
    if (this.#failing.size > 1) this.#rest(ALL_REST_MS);
    const restMs = FIRST_REST_MS * 2 ** (state.failures - 1);
    return { parkedForMs: Math.min(restMs, LONGEST_REST_MS) };
  }

  #rest(ms: number): void {
    if (this.#resting !== undefined || this.#isStopping) return;
    this.#resting = setTimeout(() => {
      this.#resting = undefined;
      this.look();
    }, ms);
  }

  #endRequest(state: LaneState, next: NextOfLane): void {
    this.#taking -= 1;
    this.#parts.book.foundNothing(state, next);
    this.#settled(state);
  }

  #settled(state: LaneState): void {
    if (!state.isReady && state.taking + state.running === 0) this.#takers.delete(state);
    for (const check of this.#idle) check();
    this.look();
  }

  async #until(isTrue: () => boolean): Promise<void> {
    if (isTrue()) return;
    await new Promise<void>((resolve) => {
      const check = () => {
        if (!isTrue()) return;
        this.#idle.delete(check);
        resolve();
      };
      this.#idle.add(check);
    });
  }
}

interface Taken extends TakeReply {
  readonly token: string;
  readonly sentAtMs: number;
  readonly bells: number;
  readonly reservation: Reservation;
  readonly taker: LaneTaker;
}
