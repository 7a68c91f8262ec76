/** `stackshim queue rm`: removes jobs. */
import { forEachJob, printName, type QueueOptions } from '../queues/with-queues.ts';

/** Resolves to the exit status. */
export const queueRm = (jobs: readonly string[], options: QueueOptions): Promise<number> =>
  forEachJob(jobs, options, {
    operation: 'remove job',
    act: (queues, job) => queues.remove(job),
    print: printName,
  });
