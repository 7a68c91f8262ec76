/** `stackshim queue cancel`: ends jobs. */
import { forEachJob, printName, type QueueOptions } from '../queues/with-queues.ts';

/** Resolves to the exit status. */
export const queueCancel = (jobs: readonly string[], options: QueueOptions): Promise<number> =>
  forEachJob(jobs, options, {
    operation: 'cancel job',
    act: (queues, job) => queues.cancel(job),
    print: printName,
  });
