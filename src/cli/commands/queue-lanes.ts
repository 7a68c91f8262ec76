/** `stackshim queue ls`, `pause` and `resume`: whole queues. */
import type { TruncOption } from '../define/shared-options.ts';
import { formatLanes } from '../print/format-jobs.ts';
import { printAnswer } from '../print/print.ts';
import { printName, type QueueOptions, withQueues } from '../queues/with-queues.ts';

/** Shows the numbers of jobs of a queue, or of all. */
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
