/** The short commands of `stackshim queue`; `queue add` has a file of its own. */
import { toPrintable } from '../../core/errors.ts';
import type { Queues } from '../../worker/client/queues.ts';
import type { JobStatus } from '../../worker/job/job-result.ts';
import { type JobLineOptions, toJobRequest, toNumber } from '../define/queue-job-options.ts';
import { parseTail, type TruncOption } from '../define/shared-options.ts';
import { formatJobs, formatLanes, formatSchedules } from '../print/format-jobs.ts';
import { print, printAnswer, printJson } from '../print/print.ts';
import { writeJobLog } from '../queues/job-log-output.ts';
import { namingOptions } from '../queues/naming-options.ts';
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

/** Makes a command that acts on several jobs, prints the name of each, and resolves to the exit status. */
const toEachJob =
  (operation: string, act: (queues: Queues, job: string) => Promise<unknown>) =>
  (jobs: readonly string[], options: QueueOptions): Promise<number> =>
    forEachJob(jobs, options, { operation, act, print: printName });

export const queueCancel = toEachJob('cancel job', (queues, job) => queues.cancel(job));
/** Queues ended jobs once more. */
export const queueRetry = toEachJob('retry job', (queues, job) => queues.retry(job));
export const queueRm = toEachJob('remove job', (queues, job) => queues.remove(job));

/** Shows how many jobs a queue has in each state and lane; without a name, all queues. */
export async function queueLs(
  queue: string | undefined,
  options: QueueOptions & TruncOption,
): Promise<void> {
  const found = await withQueues(options, (queues) => queues.list(queue));
  const shape = { whole: !options.trunc, withQueue: queue === undefined };
  await printAnswer(found, options, (lanes) => formatLanes(lanes, Date.now(), shape));
}

/** Lets no further job of a queue start. */
export async function queuePause(queue: string, options: QueueOptions): Promise<void> {
  await withQueues(options, (queues) => queues.pause(queue));
  await printName(queue);
}

export async function queueResume(queue: string, options: QueueOptions): Promise<void> {
  await withQueues(options, (queues) => queues.resume(queue));
  await printName(queue);
}

interface QueueLogsOptions extends QueueOptions {
  readonly follow?: boolean;
  readonly tail: string;
  readonly timestamps?: boolean;
}

/** A reader that closes early, as `head` does, is not an error. */
export async function queueLogs(job: string, options: QueueLogsOptions): Promise<void> {
  const tail = parseTail(options.tail);
  const gone = new AbortController();
  await withQueues(options, async (queues) => {
    const pieces = queues.logs(job, { follow: options.follow, tail, signal: gone.signal });
    try {
      await writeJobLog(pieces, options.timestamps === true, () => gone.abort());
    } catch (error) {
      if (!gone.signal.aborted) throw error;
    }
  });
}

interface QueueScheduleOptions extends QueueOptions, JobLineOptions {
  readonly pattern?: string;
  readonly tz?: string;
  readonly every?: string;
  readonly bound?: boolean;
  readonly unbound?: boolean;
}

/** Adds a schedule or replaces it. */
export async function queueSchedule(
  queue: string,
  id: string,
  command: readonly string[],
  options: QueueScheduleOptions,
): Promise<void> {
  const { pattern, tz, every, bound, unbound } = options;
  const priority = toNumber('priority', options.priority);
  const job = await toJobRequest(command, options);
  const schedule = await withQueues(options, (queues) =>
    namingOptions('queue schedule', () =>
      queues.schedule(queue, id, { job, pattern, tz, every, bound, unbound, priority }),
    ),
  );
  const toText = () => `${schedule.id}: next job at ${schedule.nextAt ?? 'no time'}\n`;
  await printAnswer(schedule, options, toText);
}

/** Lists the schedules of a queue. */
export async function queueSchedules(
  queue: string,
  options: QueueOptions & TruncOption,
): Promise<void> {
  const found = await withQueues(options, (queues) => queues.schedules(queue));
  await printAnswer(found, options, (schedules) => formatSchedules(schedules, !options.trunc));
}

export async function queueUnschedule(
  queue: string,
  id: string,
  options: QueueOptions,
): Promise<void> {
  await withQueues(options, (queues) => queues.unschedule(queue, id));
  await printName(id);
}

/** Prints the script with which other programs add jobs to Redis. */
export async function queueScript(): Promise<void> {
  const { toAddJobScript } = await import('../../worker/client/add-job-script.ts');
  await print(toAddJobScript());
}
