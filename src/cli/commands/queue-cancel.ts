/** `stackshim queue cancel`: ends jobs. */
import { forEachJob, printName, type QueueOptions, withQueues } from '../queues/with-queues.ts';

/** Resolves to the exit status. */
export const queueCancel = (jobs: readonly string[], options: QueueOptions): Promise<number> =>
  withQueues(options, (queues) =>
    forEachJob(jobs, 'cancel job', async (job) => {
      await queues.cancel(job);
      await printName(job);
    }),
  );
