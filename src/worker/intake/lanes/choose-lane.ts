/**
 * Chooses the lane of the next job. Pure.
 *
 * The tenant with the least load for its weight comes first; among equals, the tenant served least (virtual time). A job of a queue of weight 5
 * counts as a fifth of a job. Within a tenant, the same order holds for lanes. A running job counts from the request that takes it, so that a
 * tenant with short jobs is served again as soon as it has fewer running, however long the jobs of others take.
 */
import { heldBy, type LaneState, type TenantState } from './lane-state.ts';

/** Loads are sums of fractions, so equal loads may differ by rounding. */
const SAME_LOAD = 1e-9;

/** Finds the most entitled lane whose next job `fits`, as far as that is known. Linear in the number of ready lanes: 0.05 ms for 5,000. */
export function chooseLane(lanes: Iterable<LaneState>, fits: (lane: LaneState) => boolean) {
  let first: LaneState | undefined;
  let chosen: LaneState | undefined;
  for (const lane of lanes) {
    if (!mayTake(lane)) continue;
    if (first === undefined || isBefore(lane, first)) first = lane;
    if (chosen !== undefined && !isBefore(lane, chosen)) continue;
    if (fits(lane)) chosen = lane;
  }
  return {
    /** Undefined: no job may be taken, none fits, or the most entitled lane is being asked and its answer decides. */
    lane: chosen === undefined || isBusy(chosen) ? undefined : chosen,
    /** The most entitled lane, if its next job does not fit. */
    tooSoon: first === chosen ? undefined : first,
  };
}

const mayTake = ({ isReady, tenant }: LaneState): boolean =>
  isReady && tenant.held < tenant.maxTasks;

/** A pending take counts as a job. If the lane is the most entitled even so, no other lane may get the places that it may need. */
const isBusy = ({ isPeeking, taking, eagerness }: LaneState): boolean =>
  isPeeking || taking >= eagerness;

function isBefore(one: LaneState, other: LaneState): boolean {
  const [ours, theirs] = [one.tenant, other.tenant];
  return ours === theirs
    ? isFirst(one, other, heldBy(one) / one.queueWeight - heldBy(other) / other.queueWeight)
    : isFirst(ours, theirs, ours.load / ours.weight - theirs.load / theirs.weight);
}

type Served = Pick<TenantState, 'served' | 'name'>;

/** Orders two lanes or tenants. `loads`: the load of the first minus the load of the second. */
function isFirst(one: Served, other: Served, loads: number): boolean {
  if (Math.abs(loads) > SAME_LOAD) return loads < 0;
  if (one.served !== other.served) return one.served < other.served;
  return one.name < other.name;
}
