/** Adds a job to its lane, once, however often the store fails meanwhile. */
import { createHash, randomBytes } from 'node:crypto';
import { toTaskId } from '../../core/ids.ts';
import { textUpTo } from '../../core/read-fields.ts';
import { readInput } from '../../spec/field-errors.ts';
import type { JobData } from '../job/job-data.ts';
import type { JobPlace, Lane } from '../job/lane.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import { laneQueue } from './lane-queue.ts';
import { followMarks } from './pause-queue.ts';

/** Everything but the id and the time. */
export interface PlannedJob {
  readonly lane: Lane;
  /** What workers read before they take it. */
  readonly name: string;
  readonly data: JobData;
  readonly priority: number;
}

/** A key that was given before leads to the same id. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function toJobId(key: string | undefined): string {
  if (key === undefined) return toTaskId(randomBytes(13));
  const read = readInput(textUpTo(MAX_KEY_CHARS), key, 'key');
  return `once-${createHash('sha256').update(read).digest('hex')}`;
}

const MAX_KEY_CHARS = 4096;

/** Resolves once the store has acknowledged the job. A job with this id that exists already stays as it is. */
export async function addJob(
  store: QueueStore,
  id: string,
  delayMs: number,
  { lane, name, data, priority }: PlannedJob,
): Promise<JobPlace> {
  const queue = laneQueue(store, lane);
  await followMarks(store, lane);
  const options = {
    jobId: id,
    priority,
    ...(delayMs === 0 ? {} : { delay: delayMs, timestamp: await store.serverTimeMs() }),
  };
  await store.announce(lane, () => queue.add(name, data, options));
  return { lane, id };
}
