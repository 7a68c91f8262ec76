/** Changes to an existing job: cancel, queue again, remove. */
import { isObject, optional, textUpTo } from '../../core/read-fields.ts';
import { readInput } from '../../spec/field-errors.ts';
import type { CancelMark } from '../job/job-data.ts';
import { BY_CHARS } from '../job/job-fields.ts';
import type { JobStatus } from '../job/job-result.ts';
import type { JobPlace } from '../job/lane.ts';
import { readStatus } from '../job/read-status.ts';
import { readFields } from '../job/stored-values.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import { conflict, handleOf, requireJob } from './lane-queue.ts';
import type { CancelOptions } from './queues.ts';
import { isOver } from './wait-for-job.ts';

/** Marks the job as cancelled, then tells the workers. Does nothing if the job is cancelled already. */
export async function cancelJob(
  store: QueueStore,
  place: JobPlace,
  { by }: CancelOptions,
): Promise<JobStatus> {
  const found = await requireJob(store, place);
  const status = readStatus(place, found);
  if (status.state === 'cancelled') return status;
  if (isOver(status)) throw conflict('cancel', place, `it has ended: ${status.state}`);
  const at = new Date(await store.serverTimeMs()).toISOString();
  const cancelled: CancelMark = { at, by: readInput(optional(textUpTo(BY_CHARS)), by, 'by') };
  const { lane, id } = place;
  const backend = store.backend(lane);
  await backend.updateData(handleOf(place), { ...readFields(found.json.data), cancelled });
  await store.sendCancel(lane, id);
  // A delayed job is promoted so that a worker takes and ends it now. It may have left the delayed jobs meanwhile.
  if (found.list === 'delayed') await unlessRefused(() => backend.promote(id));
  if (found.list !== 'active') await store.ring(lane);
  return readStatus(place, await requireJob(store, place));
}

/** Queues an ended job again. */
export async function retryJob(store: QueueStore, place: JobPlace): Promise<JobStatus> {
  const found = await requireJob(store, place);
  const { list } = found;
  if (list !== 'failed' && list !== 'completed') {
    throw conflict('retry', place, `it has not ended: ${readStatus(place, found).state}`);
  }
  const { cancelled, ...fields } = readFields(found.json.data);
  const backend = store.backend(place.lane);
  if (cancelled !== undefined) await backend.updateData(handleOf(place), fields);
  const again = { resetAttemptsMade: true, resetAttemptsStarted: true };
  // BullMQ refuses if the answer to an earlier call was lost; the job is queued then.
  await store.announce(place.lane, () =>
    unlessRefused(() => backend.retryFinishedJob(handleOf(place), list, again)),
  );
  return readStatus(place, await requireJob(store, place));
}

/** Removes the job's record and its log from the store. */
export async function removeJob(store: QueueStore, place: JobPlace): Promise<void> {
  await requireJob(store, place);
  const removed = await unlessRefused(() => store.backend(place.lane).remove(place.id, true));
  if (removed === 1) return;
  const { list } = await requireJob(store, place);
  const isRunning = list === 'active';
  const why = isRunning ? 'it runs; cancel it first' : 'it belongs to a schedule; remove that';
  throw conflict('remove', place, why);
}

/** Resolves to undefined if BullMQ refuses because of the job's state: only those errors have a number as code. */
async function unlessRefused<T>(act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch (error) {
    if (isObject(error) && typeof Reflect.get(error, 'code') === 'number') return undefined;
    throw error;
  }
}
