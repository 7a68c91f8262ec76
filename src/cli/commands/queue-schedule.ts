/** `stackshim queue schedule`, `schedules` and `unschedule`. */
import { type JobLineOptions, toJobRequest, toNumber } from '../define/queue-job-options.ts';
import type { TruncOption } from '../define/shared-options.ts';
import { formatSchedules } from '../print/format-jobs.ts';
import { printAnswer } from '../print/print.ts';
import { namingOptions } from '../queues/naming-options.ts';
import { printName, type QueueOptions, withQueues } from '../queues/with-queues.ts';

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
