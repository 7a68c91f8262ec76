/** `stackshim queue rm`: removes jobs. */
import { forEachJob, printName, type QueueOptions, withQueues } from '../queues/with-queues.ts';

/** Resolves to the exit status. */
export const queueRm = (jobs: readonly string[], options: QueueOptions): Promise<number> =>
  withQueues(options, (queues) =>
    forEachJob(jobs, 'remove job', async (job) => {
      await queues.remove(job);
      await printName(job);
    }),
  );
