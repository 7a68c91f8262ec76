/** Waits for the end of a job by looking at it: often at first, then at a pace that thousands of waiting clients may keep. */
import { setTimeout } from 'node:timers/promises';
import { StackshimError } from '../../core/errors.ts';
import { isFinalState, type JobStatus } from '../job/job-result.ts';
import { type JobPlace, jobName } from '../job/lane.ts';
import { readStatus } from '../job/read-status.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import { requireJob } from './lane-queue.ts';

const SHORTEST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 1000;
/** A job of an hour is noticed within a second of its end, one of a second within 50 ms. */
const PART_OF_WAIT = 0.05;

/** Returns a function that resolves once it is time to look again, and rejects when the signal aborts. */
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

/** A job that is cancelled before a worker took it is over, although it has no result yet. */
export const isOver = ({ state }: JobStatus): boolean => isFinalState(state);

/** Between two looks at the whole record, which may be large: a job that waits for a worker may have been cancelled. */
const LOOK_EVERY_MS = 2000;

/** Returns a function that resolves to the status of a job that is over, and to undefined before. */
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
