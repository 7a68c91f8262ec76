/** Waits for the end of a job by polling: often at first, then at a rate that thousands of waiting clients can keep up. */
import { setTimeout } from 'node:timers/promises';
import { StackshimError } from '../../core/errors.ts';
import { isFinalState, type JobStatus } from '../job/job-result.ts';
import { type JobPlace, jobName } from '../job/lane.ts';
import { readStatus } from '../job/read-status.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import { requireJob } from './lane-queue.ts';

const SHORTEST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 1000;
/** The pause as a fraction of the time waited: the end of an hour's job is noticed within 1 s, that of a second's job within 50 ms. */
const PART_OF_WAIT = 0.05;

/** Returns a function that resolves when it is time to poll again, and rejects when the signal aborts. */
export function openPace(signal: AbortSignal | undefined, operation: string): () => Promise<void> {
  const since = performance.now();
  return async () => {
    const waited = (performance.now() - since) * PART_OF_WAIT;
    const pauseMs = Math.min(Math.max(waited, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS);
    try {
      await setTimeout(pauseMs, undefined, { signal });
    } catch {
      const message = `${operation}: the caller stopped waiting`;
      throw new StackshimError('ERR_STACKSHIM_JOB_WAIT_ABORTED', message);
    }
  };
}

/** Whether the job is over. A job that was cancelled before a worker took it is over, although it has no result yet. */
export const isOver = ({ state }: JobStatus): boolean => isFinalState(state);

/** The pause between reads of the whole record, which may be large. Only the record tells whether a waiting job was cancelled. */
const LOOK_EVERY_MS = 2000;

/** Returns a function that resolves to the job's status once it is over, and to undefined before. */
export function watchEnd(store: QueueStore, place: JobPlace): () => Promise<JobStatus | undefined> {
  const backend = store.backend(place.lane);
  let nextLook = 0;
  return async () => {
    const now = performance.now();
    if (now < nextLook && (await backend.isFinished(place.id)) === 0) return undefined;
    nextLook = now + LOOK_EVERY_MS;
    const status = readStatus(place, await requireJob(store, place));
    return isOver(status) ? status : undefined;
  };
}

export async function waitForJob(
  store: QueueStore,
  place: JobPlace,
  signal: AbortSignal | undefined,
): Promise<JobStatus> {
  const pace = openPace(signal, `wait for job ${jobName(place)}`);
  const look = watchEnd(store, place);
  for (;;) {
    const status = await look();
    if (status !== undefined) return status;
    await pace();
  }
}
