/** `stackshim queue pause`: lets no further job of a queue start. */
import { printName, type QueueOptions, withQueues } from '../queues/with-queues.ts';

export async function queuePause(queue: string, options: QueueOptions): Promise<void> {
  await withQueues(options, (queues) => queues.pause(queue));
  await printName(queue);
}
