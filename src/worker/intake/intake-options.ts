/** What the intake is given. Clocks, random numbers and the size of the machine come as values. */
import type { TenantName } from '../../core/ids.ts';
import type { TenantTerms } from '../../spec/task-spec.ts';
import type { Lane } from '../job/lane.ts';
import type { QueueStore, QueueStoreOptions, StoreListeners } from '../queue-store/queue-store.ts';
import type { Needs, TakenJob } from '../taken-job.ts';
import type { Budget } from './budget/budget.ts';

/** The listeners are those of the store, whose only subscription of this worker the intake has. */
type OtherListeners = Partial<Omit<StoreListeners, 'onBell'>>;

export interface IntakeOptions extends QueueStoreOptions, OtherListeners {
  readonly store: QueueStore;
  /** A tenant's jobs of a queue of weight 5 count as a fifth of a job: the queue gets five times as many of its places. */
  readonly queues: readonly QueueShare[];
  /** Most jobs at once. */
  readonly concurrency: number;
  readonly budget: Budget;
  /** What a job needs that does not say: the policy's defaults. */
  readonly usualNeeds: Needs;
  /** What a job may need at most: the policy's maxima. */
  readonly mostNeeds: { readonly [N in keyof Needs]?: number | undefined };
  /** The policy's terms for a tenant, or for jobs without a tenant. */
  readonly policyOf: (tenant: TenantName | undefined) => Pick<TenantTerms, 'weight' | 'maxTasks'>;
  /** Runs a job up to its final state, or hands it back. Must not reject. The job's room and place are free once it resolves. */
  readonly handle: (taken: TakenJob) => Promise<void>;
  /** Kept with each job in the store, for people who look. */
  readonly worker: string;
  readonly clock: IntakeClock;
  /** A new lock token for each take: hard to guess. */
  readonly newToken: () => string;
  /** What went wrong with the store or with one lane. The intake tries again. */
  readonly onError?: ((error: unknown, lane: Lane | undefined) => void) | undefined;
  /** The server was replaced by one that may have lost takes: no job is taken for this time. */
  readonly onHold?: ((holdMs: number) => void) | undefined;
  /** For tests. */
  readonly pace?: Partial<IntakePace> | undefined;
}

export interface QueueShare {
  readonly name: string;
  /** 1 is usual. */
  readonly weight: number;
}

export interface IntakeClock {
  /** The clock that all processes of the host share and nobody can set. */
  readonly monotonicMs: () => number;
  /** Milliseconds since 1970. */
  readonly epochMs: () => number;
}

export const USUAL_PACE = {
  /**
   * How long the first takes wait for the first look, which finds the lanes with jobs: the lane whose bell is heard first would get all places.
   * Very many lanes must not hold up the start for longer.
   */
  firstLookMs: 1_000,
  /** How often to list the lanes that were announced lately. */
  recentLookMs: 30_000,
  /** How often to list all lanes, and to remove idle ones from the index. */
  wholeLookMs: 600_000,
  /** After this time, room is kept free for a job that others overtake. */
  keepRoomAfterMs: 10_000,
  /** After this time, a job that this machine can never hold is taken, and ends with the reason. Until then, a larger machine may take it. */
  tooLargeAfterMs: 60_000,
  /** The same if other jobs of the lane wait behind it. */
  tooLargeHoldMs: 5_000,
};

export type IntakePace = Readonly<typeof USUAL_PACE>;

export interface Intake {
  /**
   * Takes no further job: `handle` is not called any more once it resolves. Requests that the store answers later are handed back. A second
   * call does the same.
   */
  stopTaking(): Promise<void>;
  /** Resolves once no job is held: those that were taken have ended, and none is being taken. Call `stopTaking` first. */
  idle(): Promise<void>;
  /** Number of lanes that may have jobs. */
  lanes(): number;
  /** Ends everything except the jobs that are being handled. Rejects never. */
  close(): Promise<void>;
}
