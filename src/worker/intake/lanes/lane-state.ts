/** What the intake knows about a lane that may have jobs, and about its tenant. An idle lane has no state until a bell or a look. */
import type { Lane } from '../../job/lane.ts';
import type { Needs } from '../../taken-job.ts';

/** A tenant's part of the worker, over all queues. */
export interface TenantState {
  /** Empty for jobs without a tenant. */
  readonly name: string;
  weight: number;
  /** The maximum of jobs at once on this machine. */
  maxTasks: number;
  /** The number of jobs that are being taken or run here. */
  held: number;
  /** The sum over the held jobs of 1 / the queue's weight. */
  load: number;
  /** Virtual time: grows with each job, by less for a larger weight. */
  served: number;
  /** The virtual time among the tenant's lanes: a new lane starts here. */
  laneServed: number;
  /** The number of lanes that refer to this state. */
  lanes: number;
}

export interface LaneState {
  readonly name: string;
  readonly lane: Lane;
  readonly tenant: TenantState;
  readonly queueWeight: number;
  /** Whether the lane may have a job to take. Otherwise it is parked: until its bell, its timer, or the end of one of its jobs. */
  isReady: boolean;
  /** Whether a look at the next jobs is pending: until then, nothing is known that a take could go by. */
  isPeeking: boolean;
  /** The number of pending requests. */
  taking: number;
  running: number;
  served: number;
  /** How many requests may be pending. A bell may announce a single job, so this starts at 1 and grows with each job found. */
  eagerness: number;
  /** Counts bells. A reply without a job does not mean an empty lane if a bell rang after its request was sent. */
  bells: number;
  /** The next jobs as a look found them, in the order in which they are taken. Undefined if not known, or no longer. */
  heads: { readonly needs: Needs[]; readonly seenAtMs: number } | undefined;
  /** Since when the lane waits for room although it is the most entitled lane. */
  waitsSinceMs: number | undefined;
  /** Since when the next job needs more than this machine has. */
  tooLargeSinceMs: number | undefined;
  /** When the lane was last noted among the lanes with active jobs, by the monotonic clock. */
  notedAtMs: number;
  /** The number of consecutive failed requests. */
  failures: number;
  /** Cancels the timer of a parked lane. */
  cancelWake: (() => void) | undefined;
}

/** The number of the lane's jobs that are being taken or run here. */
export const heldBy = ({ taking, running }: LaneState): number => taking + running;
