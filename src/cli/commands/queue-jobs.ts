/** `stackshim queue status`, `outputs`, `cancel`, `retry` and `rm`: look at jobs by their names, and change them. */
import { toPrintable } from '../../core/errors.ts';
import type { Queues } from '../../worker/client/queues.ts';
import type { JobStatus } from '../../worker/job/job-result.ts';
import type { TruncOption } from '../define/shared-options.ts';
import { formatJobs } from '../print/format-jobs.ts';
import { print, printAnswer, printJson } from '../print/print.ts';
import { forEachJob, printName, type QueueOptions, withQueues } from '../queues/with-queues.ts';

/** Shows the states of jobs. Resolves to the exit status. */
export async function queueStatus(
  jobs: readonly string[],
  options: QueueOptions & TruncOption,
): Promise<number> {
  const found: JobStatus[] = [];
  const status = await forEachJob(jobs, options, {
    operation: 'show job',
    act: (queues, job) => queues.status(job),
    print: (_, one) => void found.push(one),
  });
  if (options.json) await printJson(found);
  else if (found.length > 0) await print(formatJobs(found, Date.now(), !options.trunc));
  return status;
}

/** Copies the artefacts of a job. */
export async function queueOutputs(
  job: string,
  folder: string,
  options: QueueOptions,
): Promise<void> {
  const taken = await withQueues(options, (queues) => queues.outputs(job, folder));
  // A task has chosen the names: a line break must not look like another file.
  const toLines = () => taken.map(({ path }) => `${toPrintable(path)}\n`).join('');
  await printAnswer(taken, options, toLines);
}

/** A command that does the same to several jobs, prints the name of each, and resolves to the exit status. */
const toEachJob =
  (operation: string, act: (queues: Queues, job: string) => Promise<unknown>) =>
  (jobs: readonly string[], options: QueueOptions): Promise<number> =>
    forEachJob(jobs, options, { operation, act, print: printName });

export const queueCancel = toEachJob('cancel job', (queues, job) => queues.cancel(job));
/** Queues jobs that have ended once more. */
export const queueRetry = toEachJob('retry job', (queues, job) => queues.retry(job));
export const queueRm = toEachJob('remove job', (queues, job) => queues.remove(job));
