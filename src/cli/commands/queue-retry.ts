/** `stackshim queue retry`: queues jobs that have ended once more. */
import { forEachJob, printName, type QueueOptions } from '../queues/with-queues.ts';

/** Resolves to the exit status. */
export const queueRetry = (jobs: readonly string[], options: QueueOptions): Promise<number> =>
  forEachJob(jobs, options, {
    operation: 'retry job',
    act: (queues, job) => queues.retry(job),
    print: printName,
  });
