/** Adds a job to its lane, once, however often the store fails meanwhile. */
import { createHash, randomBytes } from 'node:crypto';
import { toTaskId } from '../../core/ids.ts';
import { integer, optional, readWith, textUpTo } from '../../core/read-fields.ts';
import { invalidField } from '../../spec/field-errors.ts';
import { parseDuration } from '../../spec/quantities.ts';
import type { JobData } from '../job/job-data.ts';
import type { JobPlace, Lane } from '../job/lane.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import { laneQueue } from './lane-queue.ts';
import { followMarks } from './pause-queue.ts';
import type { EnqueueOptions } from './queues.ts';
import { DELAYS, MAX_PRIORITY } from './to-job-data.ts';

export interface PlannedJob {
  readonly lane: Lane;
  readonly id: string;
  /** What workers read before they take it. */
  readonly name: string;
  readonly data: JobData;
  readonly delayMs: number;
  readonly priority: number;
}

/** A key that was given before leads to the same id. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function toJobId(key: string | undefined): string {
  if (key === undefined) return toTaskId(randomBytes(13));
  readWith(textUpTo(MAX_KEY_CHARS), key, ({ problem }) => invalidField('key', problem));
  return `once-${createHash('sha256').update(key).digest('hex')}`;
}

const MAX_KEY_CHARS = 4096;

/** Throws ERR_STACKSHIM_SPEC_INVALID. */
export const parseDelay = (delay: EnqueueOptions['delay'] = 0): number =>
  parseDuration(delay, 'delay', DELAYS);

/** Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parsePriority(given: number | undefined): number | undefined {
  return readWith(optional(integer(0, MAX_PRIORITY)), given, ({ problem, value }) =>
    invalidField('priority', problem, value),
  );
}

/** Resolves once the store has acknowledged the job. A job with this id that exists already stays as it is. */
export async function addJob(store: QueueStore, planned: PlannedJob): Promise<JobPlace> {
  const { lane, id, name, data, delayMs, priority } = planned;
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
