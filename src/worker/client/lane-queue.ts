/** BullMQ's queue of one lane, over the store's shared connection, and the lookup of one job. */
import { type IQueueBackend, type MinimalJob, Queue } from 'bullmq';
import { StackshimError } from '../../core/errors.ts';
import { type JobPlace, jobName, type Lane, laneName } from '../job/lane.ts';
import type { StoredJob } from '../job/read-status.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';

export type LaneQueue = Queue<unknown, unknown, string, unknown, unknown, string, IQueueBackend>;

/** Sends nothing until it is used. Need not be closed: the connection belongs to the store. */
export const laneQueue = (store: QueueStore, lane: Lane): LaneQueue =>
  new Queue(laneName(lane), { connection: {}, skipMetasUpdate: true }, () => store.backend(lane));

/** The part of a job that BullMQ's operations need. BullMQ's own `Job` cannot hold data that is arbitrary text. */
export const handleOf = ({ id }: JobPlace): MinimalJob =>
  ({ id, opts: {} }) as unknown as MinimalJob;

/** Resolves to undefined for an unknown job. Throws ERR_STACKSHIM_JOB_RESULT_UNKNOWN if BullMQ cannot read the record. */
export async function findJob(store: QueueStore, place: JobPlace): Promise<StoredJob | undefined> {
  const backend = store.backend(place.lane);
  // The list is read before the record: a job that ends in between is reported as running, with its result.
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
