/** Adds a job to its lane exactly once, even if the store fails meanwhile. */
import { createHash, randomBytes } from 'node:crypto';
import { toTaskId } from '../../core/ids.ts';
import { textUpTo } from '../../core/read-fields.ts';
import { readInput } from '../../spec/field-errors.ts';
import type { JobData } from '../job/job-data.ts';
import type { JobPlace, Lane } from '../job/lane.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import { laneQueue } from './lane-queue.ts';
import { followMarks } from './pause-queue.ts';

/** A job without its id and its delay. */
export interface PlannedJob {
  readonly lane: Lane;
  /** The stored name; workers read it before they take the job. */
  readonly name: string;
  readonly data: JobData;
  readonly priority: number;
}

/** Derives the job's id from the key, so that the same key gives the same id; random without a key. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function toJobId(key: string | undefined): string {
  if (key === undefined) return toTaskId(randomBytes(13));
  const read = readInput(textUpTo(MAX_KEY_CHARS), key, 'key');
  return `once-${createHash('sha256').update(read).digest('hex')}`;
}

const MAX_KEY_CHARS = 4096;

/** Resolves once the store has acknowledged the job. An existing job with this id stays unchanged. */
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
