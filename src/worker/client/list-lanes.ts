/** Lists the lanes of queues with their job counts. */
import type { JobType } from 'bullmq';
import { atMost } from '../../core/pause.ts';
import { type Lane, laneName } from '../job/lane.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import { findJob, laneQueue } from './lane-queue.ts';
import { findLanes } from './pause-queue.ts';
import type { LaneSummary } from './queues.ts';

const AT_ONCE = 64;

export async function listLanes(
  store: QueueStore,
  queues: readonly string[],
  tenant: string | undefined,
): Promise<readonly LaneSummary[]> {
  const inTurn = atMost(AT_ONCE);
  const found = await Promise.all(
    queues.map((queue) => inTurn(() => findLanes(store, queue, tenant))),
  );
  const summaries = await Promise.all(
    found.flat().map((lane) => inTurn(() => summarise(store, lane))),
  );
  return summaries.sort(inOrder(({ queue, tenant, code }) => [queue, tenant ?? '', code ?? '']));
}

/** BullMQ's type lacks `paused`, under which PostgreSQL counts the jobs of a paused lane. */
const COUNTED = ['wait', 'paused', 'prioritized', 'delayed', 'active', 'completed', 'failed'];

async function summarise(store: QueueStore, lane: Lane): Promise<LaneSummary> {
  const [counts, isPaused] = await Promise.all([
    store.backend(lane).getCounts(COUNTED as JobType[]),
    laneQueue(store, lane).isPaused(),
  ]);
  const [waiting = 0, paused = 0, prioritized = 0, delayed = 0, running = 0] = counts;
  const [complete = 0, failed = 0] = counts.slice(5);
  const ready = waiting + paused + prioritized;
  return {
    lane: laneName(lane),
    queue: lane.queue,
    tenant: lane.tenant ?? null,
    code: lane.code ?? null,
    isPaused,
    queued: ready + delayed,
    delayed,
    running,
    complete,
    failed,
    oldestAt: ready === 0 ? null : await findOldest(store, lane),
  };
}

/** Only the first job of each list is read: `waiting` is in order of arrival, `prioritized` in order of priority. */
async function findOldest(store: QueueStore, lane: Lane): Promise<string | null> {
  const queue = laneQueue(store, lane);
  const ids = await Promise.all([
    queue.getRanges(['waiting'], 0, 0, true),
    queue.getRanges(['prioritized'], 0, 0, true),
  ]);
  const found = await Promise.all(ids.flat().map((id) => findJob(store, { lane, id })));
  const times = found.map((job) => job?.json.timestamp ?? Number.NaN).filter(Number.isFinite);
  return times.length === 0 ? null : new Date(Math.min(...times)).toISOString();
}

/** Compares by the first text that differs. */
export const inOrder =
  <T>(textsOf: (item: T) => readonly string[]) =>
  (a: T, b: T): number => {
    const others = textsOf(b);
    const differing = textsOf(a).findIndex((text, i) => text !== others[i]);
    return differing === -1 || (textsOf(a)[differing] ?? '') > (others[differing] ?? '') ? 1 : -1;
  };
