/** The options of the intake. Clocks, random numbers and the size of the machine come as values. */
import type { TenantName } from '../../core/ids.ts';
import type { TenantTerms } from '../../spec/task-spec.ts';
import type { Lane } from '../job/lane.ts';
import type { QueueStore, QueueStoreOptions, StoreListeners } from '../queue-store/queue-store.ts';
import type { Needs, TakenJob } from '../taken-job.ts';
import type { Budget } from './budget/budget.ts';

/** The store's listeners except the bell's. The intake has this worker's only subscription to the store. */
type OtherListeners = Partial<Omit<StoreListeners, 'onBell'>>;

export interface IntakeOptions extends QueueStoreOptions, OtherListeners {
  readonly store: QueueStore;
  /** A job of a queue of weight 5 counts as a fifth of a job, so that the queue gets five times as many of a tenant's places. */
  readonly queues: readonly QueueShare[];
  /** The maximum of jobs at once. */
  readonly concurrency: number;
  readonly budget: Budget;
  /** The needs of a job that states none: the policy's defaults. */
  readonly usualNeeds: Needs;
  /** The largest needs of a job: the policy's maxima. */
  readonly mostNeeds: { readonly [N in keyof Needs]?: number | undefined };
  /** The policy's terms for a tenant, or for jobs without a tenant. */
  readonly policyOf: (tenant: TenantName | undefined) => Pick<TenantTerms, 'weight' | 'maxTasks'>;
  /** Runs a job to its final state, or hands it back. Must not reject. The job's room and place are free once it resolves. */
  readonly handle: (taken: TakenJob) => Promise<void>;
  /** The worker's name, stored with each job for people who look. */
  readonly worker: string;
  readonly clock: IntakeClock;
  /** Returns a new lock token for each take; must be hard to guess. */
  readonly newToken: () => string;
  /** Reports a failure of the store or of one lane. The intake retries. */
  readonly onError?: ((error: unknown, lane: Lane | undefined) => void) | undefined;
  /** The server was replaced by one that may have lost takes. No job is taken for `holdMs`. */
  readonly onHold?: ((holdMs: number) => void) | undefined;
  /** For tests. */
  readonly pace?: Partial<IntakePace> | undefined;
}

export interface QueueShare {
  readonly name: string;
  /** Usually 1. */
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
   * How long the first takes wait for the first look, which finds the lanes with jobs: else the first lane whose bell is heard gets all places. A
   * look at very many lanes must not delay the start longer.
   */
  firstLookMs: 1_000,
  /** How often to list the recently announced lanes. */
  recentLookMs: 30_000,
  /** How often to list all lanes and remove idle lanes from the index. */
  wholeLookMs: 600_000,
  /** After this time, keep room free for a job that others overtake. */
  keepRoomAfterMs: 10_000,
  /** After this time, a job too large for this machine is taken, and ends with the reason. Until then, a larger machine may take it. */
  tooLargeAfterMs: 60_000,
  /** Like `tooLargeAfterMs`, but if other jobs of the lane wait behind the job. */
  tooLargeHoldMs: 5_000,
};

export type IntakePace = Readonly<typeof USUAL_PACE>;
