/** `stackshim queue schedule`: adds a schedule or replaces it. */

import { type JobLineOptions, toJobRequest, toNumber } from '../define/queue-job-options.ts';
import { print, printJson } from '../print/print.ts';
import { namingOptions } from '../queues/naming-options.ts';
import { type QueueOptions, withQueues } from '../queues/with-queues.ts';

export interface QueueScheduleOptions extends QueueOptions, JobLineOptions {
  readonly pattern?: string;
  readonly tz?: string;
  readonly every?: string;
  readonly bound?: boolean;
  readonly unbound?: boolean;
}

interface ScheduleLine {
  readonly queue: string;
  readonly id: string;
  readonly command: readonly string[];
}

export async function queueSchedule(
  { queue, id, command }: ScheduleLine,
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
  if (options.json) await printJson(schedule);
  else await print(`${schedule.id}: next job at ${schedule.nextAt ?? 'no time'}\n`);
}
