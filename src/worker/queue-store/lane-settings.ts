/** How BullMQ keeps lanes and their jobs, on both stores. */
import type { QueueOptions, WorkerOptions } from 'bullmq';
import type { QueueStoreOptions } from './queue-store.ts';

/** BullMQ's prefix of all keys on Redis. */
export const PREFIX = 'stackshim';

/** BullMQ keeps 10,000 events of a lane by default; stackshim reads none. */
export const KEPT_EVENTS = 10;

/** BullMQ ends jobs that stalled more often than this. Here, the runner of a job decides how often it may start. */
const NEVER = 2 ** 31 - 1;

/** Options for both a queue and a worker, because a lane's backend serves both. */
export const laneOptions = <C>(connection: C, { lockMs, stalledLookMs }: QueueStoreOptions) =>
  ({
    connection,
    prefix: PREFIX,
    lockDuration: lockMs,
    stalledInterval: stalledLookMs,
    maxStalledCount: NEVER,
  }) satisfies QueueOptions<C> & WorkerOptions<C>;

/** Replaces fields with which BullMQ's scripts fail half-way when a job ends, if a hostile producer wrote them. Our jobs have the same values. */
export const HARMLESS_FIELDS = { parent: '{"id":"","queueKey":""}', parentKey: '', deid: '' };
