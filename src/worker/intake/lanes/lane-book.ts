/**
 * The lanes that may have jobs, in memory. A lane is ready (a take may find a job) or parked. A parked lane becomes ready by its bell, at a time,
 * or when one of its jobs ends. A parked lane that waits for neither of the last two is forgotten; its bell brings it back.
 */
import { type Lane, laneName } from '../../job/lane.ts';
import type { IntakeOptions } from '../intake-options.ts';
import { heldBy, type LaneState, type TenantState } from './lane-state.ts';

/** What the policy and the operator say about lanes. */
export interface LaneTerms {
  /** Undefined if this worker does not serve the queue. */
  readonly weightOfQueue: (queue: string) => number | undefined;
  readonly termsOf: IntakeOptions['policyOf'];
  /** Calls back once, after `delayMs`. Returns a function that cancels the call. */
  readonly startTimer: (delayMs: number, expired: () => void) => () => void;
  /** Called when a parked lane becomes ready. */
  readonly onReady: () => void;
}

/** The lane after a request that took no job. `parked`: until its bell or the end of one of its jobs; `seen`: a look found its next jobs. */
export type NextOfLane = 'ready' | 'seen' | 'parked' | { readonly parkedForMs: number };

/** More simultaneous requests for one lane would only be refused. */
const MOST_EAGER = 64;
/** Anyone who can write to the store can ring for any number of lanes. Looks find the lanes that are not remembered. */
const MOST_LANES = 50_000;
const NEVER = Number.NEGATIVE_INFINITY;

export class LaneBook {
  readonly #terms: LaneTerms;
  readonly #lanes = new Map<string, LaneState>();
  readonly #tenants = new Map<string, TenantState>();
  readonly #ready = new Set<LaneState>();
  /** Lanes that wait for a time, longest wait first. */
  readonly #expected = new Set<LaneState>();
  /** The virtual time of the last job. A returning tenant starts here, with no claim on time that it did not use. */
  #now = 0;

  constructor(terms: LaneTerms) {
    this.#terms = terms;
  }

  get ready(): ReadonlySet<LaneState> {
    return this.#ready;
  }

  get size(): number {
    return this.#lanes.size;
  }

  /** Iterates the lanes with jobs that this worker holds. */
  *held(): Generator<LaneState> {
    for (const state of this.#lanes.values()) if (heldBy(state) > 0) yield state;
  }

  find(lane: Lane): LaneState | undefined {
    return this.#lanes.get(laneName(lane));
  }

  /** Call this when the lane may have a job. Ignores lanes of other queues, and a new lane once the book is full. */
  wake(lane: Lane): void {
    const state = this.find(lane) ?? this.#add(lane);
    if (state === undefined) return;
    // The policy may have changed.
    Object.assign(state.tenant, this.#termsOf(lane.tenant));
    state.bells += 1;
    // Another job may be first now: if the known job does not fit, look again.
    if (state.heads !== undefined) state.heads = { ...state.heads, seenAtMs: NEVER };
    if (state.isReady) state.eagerness = Math.min(state.eagerness + 1, MOST_EAGER);
    else this.#makeReady(state);
  }

  /** Adds a lane with only delayed jobs; it is ready after `afterMs`. Does nothing for a known lane, which is ready by then anyway. */
  expect(lane: Lane, afterMs: number): void {
    if (this.find(lane) !== undefined) return;
    const state = this.#add(lane);
    if (state !== undefined) this.#park(state, afterMs);
  }

  /** Counts a job that is about to be taken from the lane. */
  begin(state: LaneState): void {
    const { tenant, queueWeight } = state;
    state.taking += 1;
    tenant.held += 1;
    tenant.load += 1 / queueWeight;
    tenant.served = Math.max(tenant.served, this.#now);
    this.#now = tenant.served;
    tenant.served += 1 / (tenant.weight * queueWeight);
    state.served = Math.max(state.served, tenant.laneServed);
    tenant.laneServed = state.served;
    state.served += 1 / queueWeight;
  }

  /** Records that a take found a job, which now runs. */
  found(state: LaneState): void {
    state.taking -= 1;
    state.running += 1;
    state.failures = 0;
    state.waitsSinceMs = undefined;
    state.tooLargeSinceMs = undefined;
    state.eagerness = Math.min(state.eagerness + 1, MOST_EAGER);
    if (!state.isReady) this.#makeReady(state);
  }

  /** Records that a request took no job, or was not sent. */
  foundNothing(state: LaneState, next: NextOfLane): void {
    const { tenant, queueWeight } = state;
    state.taking -= 1;
    tenant.served -= 1 / (tenant.weight * queueWeight);
    state.served -= 1 / queueWeight;
    if (next === 'parked') this.#park(state, undefined);
    else if (typeof next === 'object') this.#park(state, next.parkedForMs);
    // The reply to another request may have parked the lane meanwhile.
    else if (!state.isReady) this.#makeReady(state);
    else if (next === 'ready') state.eagerness = 1;
    this.#giveBack(state);
  }

  /** Records that a job of the lane has ended. The job may be waiting again, so the lane becomes ready. */
  ended(state: LaneState): void {
    state.running -= 1;
    if (!state.isReady) this.#makeReady(state);
    this.#giveBack(state);
  }

  /** Ends all timers and forgets all lanes. */
  close(): void {
    for (const state of this.#lanes.values()) state.cancelWake?.();
    this.#lanes.clear();
    this.#tenants.clear();
    this.#ready.clear();
    this.#expected.clear();
  }

  #park(state: LaneState, forMs: number | undefined): void {
    state.isReady = false;
    state.heads = undefined;
    state.waitsSinceMs = undefined;
    state.tooLargeSinceMs = undefined;
    this.#ready.delete(state);
    this.#endWait(state);
    if (forMs === undefined) return;
    this.#expected.add(state);
    state.cancelWake = this.#terms.startTimer(forMs, () => this.#makeReady(state));
  }

  #endWait(state: LaneState): void {
    state.cancelWake?.();
    state.cancelWake = undefined;
    this.#expected.delete(state);
  }

  #makeReady(state: LaneState): void {
    this.#endWait(state);
    state.isReady = true;
    state.eagerness = 1;
    this.#ready.add(state);
    this.#terms.onReady();
  }

  #giveBack(state: LaneState): void {
    const { tenant, queueWeight } = state;
    tenant.held -= 1;
    // Reset to 0 so that the sum of fractions does not drift.
    tenant.load = tenant.held === 0 ? 0 : tenant.load - 1 / queueWeight;
    this.#forgetIfIdle(state);
  }

  #forgetIfIdle(state: LaneState): void {
    if (state.isReady || heldBy(state) > 0 || state.cancelWake !== undefined) return;
    if (!this.#lanes.delete(state.name)) return;
    state.tenant.lanes -= 1;
    if (state.tenant.lanes === 0) this.#tenants.delete(state.tenant.name);
  }

  #add(lane: Lane): LaneState | undefined {
    const queueWeight = this.#terms.weightOfQueue(lane.queue);
    if (queueWeight === undefined || !this.#makePlace()) return undefined;
    const tenant = this.#tenantOf(lane.tenant);
    tenant.lanes += 1;
    const state: LaneState = {
      name: laneName(lane),
      lane,
      tenant,
      queueWeight,
      isReady: false,
      isPeeking: false,
      taking: 0,
      running: 0,
      served: tenant.laneServed,
      eagerness: 1,
      bells: 0,
      heads: undefined,
      waitsSinceMs: undefined,
      tooLargeSinceMs: undefined,
      notedAtMs: NEVER,
      failures: 0,
      cancelWake: undefined,
    };
    this.#lanes.set(state.name, state);
    return state;
  }

  /** Forgets lanes that wait for a time: else thousands of them would keep all others out until then. A later look finds them again. */
  #makePlace(): boolean {
    for (const state of this.#expected) {
      if (this.#lanes.size < MOST_LANES) break;
      if (heldBy(state) > 0) continue;
      this.#endWait(state);
      this.#forgetIfIdle(state);
    }
    return this.#lanes.size < MOST_LANES;
  }

  #tenantOf(tenant: Lane['tenant']): TenantState {
    const name = tenant ?? '';
    const known = this.#tenants.get(name);
    if (known !== undefined) return known;
    const counts = { held: 0, load: 0, served: this.#now, laneServed: 0, lanes: 0 };
    const state: TenantState = { name, ...this.#termsOf(tenant), ...counts };
    this.#tenants.set(name, state);
    return state;
  }

  #termsOf(tenant: Lane['tenant']): Pick<TenantState, 'weight' | 'maxTasks'> {
    const { weight, maxTasks = Number.POSITIVE_INFINITY } = this.#terms.termsOf(tenant);
    return { weight, maxTasks };
  }
}
