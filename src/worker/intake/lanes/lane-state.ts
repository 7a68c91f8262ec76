/** What the intake knows of a lane that may have jobs, and of the lane's tenant. Idle lanes have no state: a bell or a look makes one. */
import type { Lane } from '../../job/lane.ts';
import type { Needs } from '../../taken-job.ts';

/** A tenant's part of the worker, over all queues. */
export interface TenantState {
  /** Empty for jobs without a tenant. */
  readonly name: string;
  weight: number;
  /** Most jobs at once on this machine. */
  maxTasks: number;
  /** Jobs that are being taken or run here. */
  held: number;
  /** The same, each divided by the weight of its queue. */
  load: number;
  /** Virtual time: grows with each job, by less for a large weight. */
  served: number;
  /** The virtual time among its lanes. */
  laneServed: number;
  /** Number of lanes that refer to this state. */
  lanes: number;
}

export interface LaneState {
  readonly name: string;
  readonly lane: Lane;
  readonly tenant: TenantState;
  readonly queueWeight: number;
  /** Whether it may have a job to take. Otherwise it is parked: until its bell, `cancelWake`, or the end of one of its jobs. */
  isReady: boolean;
  /** Whether a look at its next jobs is under way: until then, nothing is known that a take could go by. */
  isPeeking: boolean;
  /** Requests that are under way. */
  taking: number;
  running: number;
  served: number;
  /**
   * How many requests may be under way: a bell may announce a single job, so the number begins at 1 and grows with each job that is found.
   */
  eagerness: number;
  /** Counts bells: a lane whose bell rang after a request was sent is not empty because of that request's reply. */
  bells: number;
  /** The next jobs of the lane, as a look found them: in the order in which they are taken. Undefined: not known, or no longer. */
  heads: { readonly needs: Needs[]; readonly seenAtMs: number } | undefined;
  /** Since when it waits for room although it was the most entitled lane. */
  waitsSinceMs: number | undefined;
  /** Since when its next job needs more than this machine has. */
  tooLargeSinceMs: number | undefined;
  /** When it was last entered among the lanes with active jobs, by the monotonic clock. */
  notedAtMs: number;
  /** Failed requests in a row. */
  failures: number;
  /** Ends the timer of a parked lane. */
  cancelWake: (() => void) | undefined;
}

/** Jobs of the lane that are being taken or run here. */
export const heldBy = ({ taking, running }: LaneState): number => taking + running;
