/** `stackshim queue logs`: prints the output of a job, each stream where the task wrote it. */
import { parseTail } from '../define/shared-options.ts';
import { writeJobLog } from '../queues/job-log-output.ts';
import { type QueueOptions, withQueues } from '../queues/with-queues.ts';

interface QueueLogsOptions extends QueueOptions {
  readonly follow?: boolean;
  readonly tail: string;
  readonly timestamps?: boolean;
}

/** A reader that has gone, as `head` does, is not an error. */
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
