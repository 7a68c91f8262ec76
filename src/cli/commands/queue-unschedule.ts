/** `stackshim queue unschedule`: removes a schedule. */
import { printName, type QueueOptions, withQueues } from '../queues/with-queues.ts';

export async function queueUnschedule(
  queue: string,
  id: string,
  options: QueueOptions,
): Promise<void> {
  await withQueues(options, (queues) => queues.unschedule(queue, id));
  await printName(id);
}
