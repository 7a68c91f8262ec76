/**
 * The lanes that may have jobs, in memory. A lane is ready (a request may find a job) or parked; a parked lane becomes ready by its bell, at a
 * time, or when one of its jobs ends. A parked lane that waits for none of the latter two is forgotten: its bell brings it back.
 */
import { type Lane, laneName } from '../../job/lane.ts';
import type { IntakeOptions } from '../intake-options.ts';
import { heldBy, type LaneState, type TenantState } from './lane-state.ts';

/** What the policy and the operator say of lanes. */
export interface LaneTerms {
  /** Undefined: the worker does not serve the queue. */
  readonly weightOfQueue: (queue: string) => number | undefined;
  readonly termsOf: IntakeOptions['policyOf'];
  /** Calls back once, after a time; returns what cancels it. */
  readonly startTimer: (delayMs: number, expired: () => void) => () => void;
  /** A parked lane became ready. */
  readonly onReady: () => void;
}

/**
 * What becomes of a lane in which a request found nothing: `parked` until its bell or the end of one of its jobs; `seen`: a look has found
 * the next jobs.
 */
export type NextOfLane = 'ready' | 'seen' | 'parked' | { readonly parkedForMs: number };

/** More requests at once for one lane would only be refused. */
const MOST_EAGER = 64;
/** Whoever may write to the store can ring for any number of lanes. What is not remembered is found by a look. */
const MOST_LANES = 50_000;
const NEVER = Number.NEGATIVE_INFINITY;

export class LaneBook {
  readonly #terms: LaneTerms;
  readonly #lanes = new Map<string, LaneState>();
  readonly #tenants = new Map<string, TenantState>();
  readonly #ready = new Set<LaneState>();
  /** Lanes that wait for a time, the one that has waited longest first. */
  readonly #expected = new Set<LaneState>();
  /** The virtual time of the last job: a tenant that comes back starts here, and has no claim on what it did not use. */
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

  /** Lanes with jobs that this worker holds. */
  *held(): Generator<LaneState> {
    for (const state of this.#lanes.values()) if (heldBy(state) > 0) yield state;
  }

  find(lane: Lane): LaneState | undefined {
    return this.#lanes.get(laneName(lane));
  }

  /** The lane may have a job. Does nothing for lanes of other queues, and for a new lane beside very many. */
  wake(lane: Lane): void {
    const state = this.find(lane) ?? this.#add(lane);
    if (state === undefined) return;
    // The policy may have changed.
    Object.assign(state.tenant, this.#termsOf(lane.tenant));
    state.bells += 1;
    // Another job may be in front by now: if the known one does not fit, look again.
    if (state.heads !== undefined) state.heads = { ...state.heads, seenAtMs: NEVER };
    if (state.isReady) state.eagerness = Math.min(state.eagerness + 1, MOST_EAGER);
    else this.#makeReady(state);
  }

  /** The lane has only a job that is due later. Does nothing for a lane that is known, and is ready at the latest then. */
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

  /** The request found a job, which now runs. */
  found(state: LaneState): void {
    state.taking -= 1;
    state.running += 1;
    state.failures = 0;
    state.waitsSinceMs = undefined;
    state.tooLargeSinceMs = undefined;
    state.eagerness = Math.min(state.eagerness + 1, MOST_EAGER);
    if (!state.isReady) this.#makeReady(state);
  }

  /** The request found nothing, or was not sent. */
  foundNothing(state: LaneState, next: NextOfLane): void {
    const { tenant, queueWeight } = state;
    state.taking -= 1;
    tenant.served -= 1 / (tenant.weight * queueWeight);
    state.served -= 1 / queueWeight;
    if (next === 'parked') this.#park(state, undefined);
    else if (typeof next === 'object') this.#park(state, next.parkedForMs);
    // The reply to another request may have parked it meanwhile.
    else if (!state.isReady) this.#makeReady(state);
    else if (next === 'ready') state.eagerness = 1;
    this.#giveBack(state);
  }

  /** A job of the lane has ended. It may be waiting again. */
  ended(state: LaneState): void {
    state.running -= 1;
    if (!state.isReady) this.#makeReady(state);
    this.#giveBack(state);
  }

  /** Ends all timers. */
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
    // The sum of fractions must not drift.
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

  /** Lanes that wait for a time give way, or thousands of them would keep all others out for that time. A later look finds them again. */
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
