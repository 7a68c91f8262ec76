/** `stackshim queue status`: shows the states of jobs. */
import type { JobStatus } from '../../worker/job/job-result.ts';
import type { TruncOption } from '../define/shared-options.ts';
import { formatJobs } from '../print/format-jobs.ts';
import { print, printJson } from '../print/print.ts';
import { forEachJob, type QueueOptions, withQueues } from '../queues/with-queues.ts';

/** Resolves to the exit status. */
export async function queueStatus(
  jobs: readonly string[],
  options: QueueOptions & TruncOption,
): Promise<number> {
  const found: JobStatus[] = [];
  const status = await withQueues(options, (queues) =>
    forEachJob(jobs, 'show job', async (job) => {
      found.push(await queues.status(job));
    }),
  );
  const shape = { now: Date.now(), whole: !options.trunc };
  if (options.json) await printJson(found);
  else if (found.length > 0) await print(formatJobs(found, shape));
  return status;
}
