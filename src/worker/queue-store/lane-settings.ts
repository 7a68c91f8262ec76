/** How BullMQ keeps lanes and their jobs, on both stores. */
import type { QueueOptions, WorkerOptions } from 'bullmq';
import type { QueueStoreOptions } from './queue-store.ts';

/** BullMQ's prefix of all keys on Redis. */
export const PREFIX = 'stackshim';

/** BullMQ keeps 10,000 events of a lane unless the lane says otherwise; nothing of stackshim reads them. */
export const KEPT_EVENTS = 10;

/** BullMQ ends jobs that stalled more often than this; whoever runs a job decides how often it may start. */
const NEVER = 2 ** 31 - 1;

/** The options of a queue and of a worker: a lane's backend serves both. */
export const laneOptions = <C>(connection: C, { lockMs, stalledLookMs }: QueueStoreOptions) =>
  ({
    connection,
    prefix: PREFIX,
    lockDuration: lockMs,
    stalledInterval: stalledLookMs,
    maxStalledCount: NEVER,
  }) satisfies QueueOptions<C> & WorkerOptions<C>;

/**
 * Takes the place of fields with which BullMQ's scripts would fail half-way when a job ends: a hostile producer may have written them. What a
 * job of ours has there is the same.
 */
export const HARMLESS_FIELDS = { parent: '{"id":"","queueKey":""}', parentKey: '', deid: '' };
