/** `stackshim queue schedules`: lists the schedules of a queue. */

import type { TruncOption } from '../define/shared-options.ts';
import { formatSchedules } from '../print/format-jobs.ts';
import { print, printJson } from '../print/print.ts';
import { type QueueOptions, withQueues } from '../queues/with-queues.ts';

export async function queueSchedules(
  queue: string,
  options: QueueOptions & TruncOption,
): Promise<void> {
  const schedules = await withQueues(options, (queues) => queues.schedules(queue));
  const shape = { now: Date.now(), whole: !options.trunc };
  await (options.json ? printJson(schedules) : print(formatSchedules(schedules, shape)));
}
