/** `stackshim queue retry`: queues jobs that have ended once more. */
import { forEachJob, printName, type QueueOptions, withQueues } from '../queues/with-queues.ts';

/** Resolves to the exit status. */
export const queueRetry = (jobs: readonly string[], options: QueueOptions): Promise<number> =>
  withQueues(options, (queues) =>
    forEachJob(jobs, 'retry job', async (job) => {
      await queues.retry(job);
      await printName(job);
    }),
  );
