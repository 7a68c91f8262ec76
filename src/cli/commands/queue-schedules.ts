/** `stackshim queue schedules`: lists the schedules of a queue. */
import { formatSchedules } from '../format-jobs.ts';
import { print, printJson } from '../print.ts';
import type { TruncOption } from '../shared-options.ts';
import { type QueueOptions, withQueues } from '../with-queues.ts';

export async function queueSchedules(
  queue: string,
  options: QueueOptions & TruncOption,
): Promise<void> {
  const schedules = await withQueues(options, (queues) => queues.schedules(queue));
  const shape = { now: Date.now(), whole: !options.trunc };
  await (options.json ? printJson(schedules) : print(formatSchedules(schedules, shape)));
}
