/** `stackshim queue resume`: lets the jobs of a paused queue start. */
import { printName, type QueueOptions, withQueues } from '../queues/with-queues.ts';

export async function queueResume(queue: string, options: QueueOptions): Promise<void> {
  await withQueues(options, (queues) => queues.resume(queue));
  await printName(queue);
}
