/** `stackshim queue ls`: shows the numbers of jobs of a queue, or of all. */

import type { TruncOption } from '../define/shared-options.ts';
import { formatLanes } from '../print/format-jobs.ts';
import { print, printJson } from '../print/print.ts';
import { type QueueOptions, withQueues } from '../queues/with-queues.ts';

export async function queueLs(
  queue: string | undefined,
  options: QueueOptions & TruncOption,
): Promise<void> {
  const lanes = await withQueues(options, (queues) => queues.list(queue));
  const shape = { now: Date.now(), whole: !options.trunc, withQueue: queue === undefined };
  await (options.json ? printJson(lanes) : print(formatLanes(lanes, shape)));
}
