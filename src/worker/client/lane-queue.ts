/** BullMQ's queue of one lane, over the store's shared connection, and the look at one job. */
import { type IQueueBackend, type MinimalJob, Queue } from 'bullmq';
import { StackshimError } from '../../core/errors.ts';
import { type JobPlace, jobName, type Lane, laneName } from '../job/lane.ts';
import type { StoredJob } from '../job/read-status.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';

export type LaneQueue = Queue<unknown, unknown, string, unknown, unknown, string, IQueueBackend>;

/** Sends nothing until it is used, and need not be closed: the connection is the store's. */
export const laneQueue = (store: QueueStore, lane: Lane): LaneQueue =>
  new Queue(laneName(lane), { connection: {}, skipMetasUpdate: true }, () => store.backend(lane));

/** What BullMQ's operations need of a job; its data may be any text, which BullMQ's own objects cannot hold. */
export const handleOf = ({ id }: JobPlace): MinimalJob =>
  ({ id, opts: {} }) as unknown as MinimalJob;

/** Undefined if the store has no such job. Throws ERR_STACKSHIM_JOB_RESULT_UNKNOWN for a record that BullMQ cannot read. */
export async function findJob(store: QueueStore, place: JobPlace): Promise<StoredJob | undefined> {
  const backend = store.backend(place.lane);
  // In this order: a job that ends meanwhile is reported as running, with its result.
  const list = await backend.getState(place.id);
  try {
    const json = await backend.getJobData(place.id);
    return json === undefined ? undefined : { json, list };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const message = `read job ${jobName(place)}: its record in the store is damaged`;
    throw new StackshimError('ERR_STACKSHIM_JOB_RESULT_UNKNOWN', message, { cause: error });
  }
}

/** Throws ERR_STACKSHIM_JOB_NOT_FOUND. */
export async function requireJob(store: QueueStore, place: JobPlace): Promise<StoredJob> {
  const found = await findJob(store, place);
  if (found !== undefined) return found;
  const message = `find job ${jobName(place)}: no such job`;
  throw new StackshimError('ERR_STACKSHIM_JOB_NOT_FOUND', message);
}

export const conflict = (operation: string, place: JobPlace, reason: string): StackshimError =>
  new StackshimError(
    'ERR_STACKSHIM_JOB_CONFLICT',
    `${operation} job ${jobName(place)}: ${reason}`,
    { details: { job: jobName(place) } },
  );
