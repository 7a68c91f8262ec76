/** `stackshim queue ls`: shows the numbers of jobs of a queue. */
import { formatLanes } from '../format-jobs.ts';
import { print, printJson } from '../print.ts';
import type { TruncOption } from '../shared-options.ts';
import { type QueueOptions, withQueues } from '../with-queues.ts';

export async function queueLs(queue: string, options: QueueOptions & TruncOption): Promise<void> {
  const lanes = await withQueues(options, (queues) => queues.list(queue));
  const shape = { now: Date.now(), whole: !options.trunc };
  await (options.json ? printJson(lanes) : print(formatLanes(lanes, shape)));
}
