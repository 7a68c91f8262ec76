/** `stackshim queue status`: shows the states of jobs. */
import type { JobStatus } from '../../worker/job/job-result.ts';
import type { TruncOption } from '../define/shared-options.ts';
import { formatJobs } from '../print/format-jobs.ts';
import { print, printJson } from '../print/print.ts';
import { forEachJob, type QueueOptions } from '../queues/with-queues.ts';

/** Resolves to the exit status. */
export async function queueStatus(
  jobs: readonly string[],
  options: QueueOptions & TruncOption,
): Promise<number> {
  const found: JobStatus[] = [];
  const status = await forEachJob(jobs, options, {
    operation: 'show job',
    act: (queues, job) => queues.status(job),
    print(_, one) {
      found.push(one);
      return Promise.resolve();
    },
  });
  const shape = { now: Date.now(), whole: !options.trunc };
  if (options.json) await printJson(found);
  else if (found.length > 0) await print(formatJobs(found, shape));
  return status;
}
