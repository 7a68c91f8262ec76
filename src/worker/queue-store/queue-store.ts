/**
 * The port to the store of the queues: BullMQ's backends for the lanes, and what BullMQ lacks: an index of lanes, a bell, messages about cancelled
 * jobs, a catalogue, the server's time. Implemented on Redis (and Valkey) and on PostgreSQL. One connection (on PostgreSQL a pool) serves all lanes
 * of a process.
 */
import type { IQueueBackend } from 'bullmq';
import type { Lane } from '../job/lane.ts';

/** How long a job's lock lasts, and how often the store looks for jobs whose lock has expired. */
export interface QueueStoreOptions {
  readonly lockMs: number;
  readonly stalledLookMs: number;
}

/** How a server may lose acknowledged writes, and what its operator should change. */
export interface StoreLoss {
  readonly reason: string;
  readonly hint: string;
}

/** What `doctor` finds about a server that can be the store. */
export interface Inspection {
  /** Product and version: `Redis 8.0.2`. */
  readonly product: string;
  /** Undefined if the server keeps what it acknowledges. */
  readonly loss: StoreLoss | undefined;
  readonly skewMs: number;
}

/**
 * An open store. During an outage, calls wait until the store answers again, however long that takes. An outage is a server that is away, starting,
 * frozen, read-only after a failover or full, or that refuses a password which it accepted before. Guarantees:
 * - A call whose answer was lost is made again, so it may take effect twice. A call with a lock token is refused the second time ("Missing lock"),
 *   although the first one took effect. A take may leave a job locked until its lock expires. A log row may come twice.
 * - No call has a time limit. End a wait with `unlessAborted`: the call continues in the background and may still take effect.
 * - `close` ends the waiting calls with ERR_STACKSHIM_STORE_CLOSED.
 * - Other errors are BullMQ's, or the server's refusal of this call.
 */
export interface QueueStore {
  readonly kind: 'redis' | 'postgres';
  /** The URL without its password, for messages. */
  readonly shown: string;
  /** Undefined if the server keeps what it acknowledges. */
  readonly loss: StoreLoss | undefined;
  /**
   * BullMQ's operations on one lane, over the shared connection. Cheap: sends nothing until an operation is called. Uses `lockMs` and
   * `stalledLookMs`; BullMQ's own count of stalls never fails a job.
   */
  backend(lane: Lane): IQueueBackend;
  /**
   * Enters the lane in the index, calls `add`, then rings the lane's bell: in this order, a caller that dies at any time strands no job. `add` must
   * be idempotent, because it may be called again after a failed connection.
   */
  announce<T>(lane: Lane, add: () => Promise<T>): Promise<T>;
  /** Tells all workers that the lane may have a job: after a job was handed back, or a job of a capped lane ended. */
  ring(lane: Lane): Promise<void>;
  /** Names of queues that may have jobs, at most 10,000. On Redis this reads the names of all keys: for people, not for workers. */
  listQueues(): Promise<readonly string[]>;
  /** A queue's lanes that may have jobs; with `sinceMs`, by the server's clock, lanes announced a few minutes before it or earlier may be missing. */
  listLanes(queue: string, sinceMs?: number): Promise<readonly Lane[]>;
  /** Removes lanes without jobs from the index: marks them and checks again after 300 ms, so an add keeps its lane. Resolves to those removed. */
  pruneLanes(lanes: readonly Lane[]): Promise<readonly Lane[]>;
  /** What the lane's next takes would get, without taking. Also works on a paused lane and on a lane at its cap. */
  peek(lane: Lane, count: number): Promise<LaneHead>;
  /** Notes the lane as having active jobs, for the look for stalled jobs. Call it before a take, and at least every 20 s. */
  noteActive(lane: Lane): Promise<void>;
  /** Lanes of these queues that may have active jobs, of any worker. */
  listActive(queues: readonly string[]): Promise<readonly Lane[]>;
  /** Removes a lane without active jobs from that list, unless a worker noted it within the last minute and so may take a job now. */
  forgetActive(lane: Lane): Promise<void>;
  /** Sends all workers a message that the job is cancelled. Not durable. */
  sendCancel(lane: Lane, id: string): Promise<void>;
  /** Resolves once messages arrive, to a function that ends the listening. */
  listen(queues: readonly string[], listeners: StoreListeners): Promise<() => void>;
  readonly catalogue: Catalogue;
  /** Which server answers. `id`: new for each server and start. `mayLack`: it may have started or been promoted without acknowledged writes. */
  readServer(): Promise<{ readonly id: string; readonly mayLack: boolean }>;
  /** Milliseconds since 1970 by the server's clock. */
  serverTimeMs(): Promise<number>;
  /** Ends the connections. Jobs that are being taken may stay locked until their locks expire. */
  close(): Promise<void>;
}

export interface LaneHead {
  /** BullMQ's job names, cut at 200 characters, in the order in which the jobs are taken. Empty for a job that is gone. */
  readonly names: readonly string[];
  /** When the first delayed job is due, by the server's clock; undefined without a delayed job. */
  readonly dueMs: number | undefined;
}

export interface StoreListeners {
  onBell(lane: Lane): void;
  onCancel(lane: Lane, id: string): void;
  /** The connection was down, so messages may be lost. Look at everything again. */
  onGap(): void;
  /** Called when the store stops answering, and when it answers again. */
  onReachable?(isReachable: boolean): void;
  /** Called when the server's clock becomes more than 30 s ahead of this machine's, or (negative) behind it. */
  onSkew?(skewMs: number): void;
}

/** Published by workers, so that clients without an installation can bind jobs to digests. Keys: `stack/NAME`, `code/TENANT/NAME`. */
export interface Catalogue {
  /** Null removes the entry. */
  put(entries: ReadonlyMap<string, CatalogueEntry | null>): Promise<void>;
  get(keys: readonly string[]): Promise<readonly (CatalogueEntry | undefined)[]>;
  /** The entries whose keys have this prefix, at most 10,000. */
  list(prefix: string): Promise<ReadonlyMap<string, CatalogueEntry>>;
}

export interface CatalogueEntry {
  readonly digest: string;
  /** When the revision was made; ISO 8601, UTC. */
  readonly since: string;
  /** The reference of a package's stack. */
  readonly stack?: string | undefined;
  readonly retries?: number | undefined;
  readonly maxConcurrency?: number | undefined;
  readonly priority?: number | undefined;
}
