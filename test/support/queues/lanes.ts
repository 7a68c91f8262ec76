/** Lanes with jobs, without a client. */
import { type IQueueBackend, Queue } from 'bullmq';
import { type Lane, laneName } from '../../../src/worker/job/lane.ts';
import type { QueueStore } from '../../../src/worker/queue-store/queue-store.ts';

export const laneOf = (queue: string, tenant?: string, code?: string): Lane => ({
  queue,
  tenant: tenant as Lane['tenant'],
  code,
});

type AnyQueue = Queue<unknown, unknown, string, unknown, unknown, string, IQueueBackend>;

/** BullMQ's queue of a lane, over the store's connection. */
export const queueOf = (store: QueueStore, lane: Lane): AnyQueue =>
  new Queue(laneName(lane), { connection: {}, skipMetasUpdate: true }, () => store.backend(lane));

export interface AddedJob {
  readonly jobId: string;
  /** Default: `v1`. */
  readonly name?: string;
  readonly data?: unknown;
  readonly priority?: number;
  readonly delay?: number;
}

/** Announces the lane and adds jobs to it. */
export async function addJobs(
  store: QueueStore,
  lane: Lane,
  jobs: readonly AddedJob[],
): Promise<void> {
  const queue = queueOf(store, lane);
  await store.announce(lane, () =>
    queue.addBulk(
      jobs.map(({ name = 'v1', data = {}, jobId, ...opts }) => ({
        name,
        data,
        opts: { jobId, ...opts },
      })),
    ),
  );
}

/** `count` jobs with the ids `PREFIX-0` and so on. */
export const manyJobs = (
  prefix: string,
  count: number,
  job: Omit<AddedJob, 'jobId'> = {},
): readonly AddedJob[] =>
  Array.from({ length: count }, (_, index) => ({ ...job, jobId: `${prefix}-${index}` }));
