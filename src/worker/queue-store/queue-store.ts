/**
 * The port to the store of the queues: BullMQ's backends for the lanes, and what BullMQ has no word for: an index of lanes, a bell, messages
 * about cancelled jobs, a catalogue, the server's time. Two implementations: Redis (and Valkey), PostgreSQL. One connection (a pool on
 * PostgreSQL) serves all lanes of a process.
 */
import type { IQueueBackend } from 'bullmq';
import type { Lane } from '../job/lane.ts';

/** How long a lock of a job lasts, and how often the store looks for jobs whose lock has expired. */
export interface QueueStoreOptions {
  readonly lockMs: number;
  readonly stalledLookMs: number;
}

/** What a server may lose of what it acknowledged, and what its operator should change. */
export interface StoreLoss {
  readonly reason: string;
  readonly hint: string;
}

/** What `doctor` finds about a server that can be the store. */
export interface Inspection {
  /** `Redis 8.0.2` */
  readonly product: string;
  /** Undefined: the server keeps what it acknowledges. */
  readonly loss: StoreLoss | undefined;
  readonly skewMs: number;
}

/**
 * An open store. A call that meets an outage waits until the store answers again, however long that takes: a server that is away, starting,
 * frozen, read-only after a failover, full, or that refuses a password which it took before. What a caller can rely on:
 * - A call whose answer was lost is made again, so it may take effect twice. Calls that carry the token of a lock are refused the second time
 *   ("Missing lock"), although the first one took effect; a take may leave a job locked until its lock expires; a log row may come twice.
 * - No call has a time limit. To end a wait use `unlessAborted`: the call goes on behind it, and may still take effect.
 * - `close` ends the waiting calls with ERR_STACKSHIM_STORE_CLOSED.
 * - Other errors are BullMQ's, or the server's refusal of this call.
 */
export interface QueueStore {
  readonly kind: 'redis' | 'postgres';
  /** The URL without its password, for messages. */
  readonly shown: string;
  /** Undefined: the server keeps what it acknowledges. */
  readonly loss: StoreLoss | undefined;
  /**
   * BullMQ's operations on one lane, over the shared connection. Cheap; nothing is sent until an operation is called. `lockMs` and
   * `stalledLookMs` are in effect, and jobs are never failed by BullMQ's own count of stalls.
   */
  backend(lane: Lane): IQueueBackend;
  /**
   * Enters the lane in the index, then calls `add`, then rings the lane's bell: in this order, so that no job is stranded whenever the caller
   * dies. `add` may be called again after a failed connection and must be idempotent.
   */
  announce<T>(lane: Lane, add: () => Promise<T>): Promise<T>;
  /** Tells all workers that the lane may have a job to take: after a job was handed back, or one of a capped lane has ended. */
  ring(lane: Lane): Promise<void>;
  /** Names of queues that may have jobs, at most 10,000. On Redis it reads the names of all keys: for people, not for workers. */
  listQueues(): Promise<readonly string[]>;
  /**
   * Names of lanes of a queue that may have jobs. `sinceMs`: lanes that were announced earlier than a few minutes before this time, by the
   * server's clock, may be left out; absent: all.
   */
  listLanes(queue: string, sinceMs?: number): Promise<readonly Lane[]>;
  /**
   * Removes lanes without any job from the index, each marked first and looked at again after 300 ms: an add that happens meanwhile keeps
   * the lane. Resolves to the lanes that were removed.
   */
  pruneLanes(lanes: readonly Lane[]): Promise<readonly Lane[]>;
  /** What the lane's next takes would get, without taking: also of a lane that is paused or at its cap. */
  peek(lane: Lane, count: number): Promise<LaneHead>;
  /** Enters the lane among those with active jobs, for the look for stalled jobs. Call it before a job is taken, at least every 20 s. */
  noteActive(lane: Lane): Promise<void>;
  /** Lanes of these queues that may have active jobs, of any worker. */
  listActive(queues: readonly string[]): Promise<readonly Lane[]>;
  /** Takes a lane without active jobs out of that list, unless it was noted within the last minute: that worker may take a job now. */
  forgetActive(lane: Lane): Promise<void>;
  /** Sends a message about a job to all workers. Not durable. */
  sendCancel(lane: Lane, id: string): Promise<void>;
  /** Listens until the subscription is closed. Resolves once messages arrive. */
  listen(queues: readonly string[], listeners: StoreListeners): Promise<Subscription>;
  readonly catalogue: Catalogue;
  /**
   * Which server answers now: `id` is another one after each start, and for each server; `mayLack` tells whether the server may have started,
   * or become the primary, without what was acknowledged last.
   */
  readServer(): Promise<{ readonly id: string; readonly mayLack: boolean }>;
  /** Milliseconds since 1970 by the server's clock. */
  serverTimeMs(): Promise<number>;
  /** Ends the connections. Jobs that are being taken may stay locked until their locks expire. */
  close(): Promise<void>;
}

export interface LaneHead {
  /** The jobs' names in BullMQ's sense, cut at 200 characters, in the order in which the jobs are taken. A job that has gone: an empty name. */
  readonly names: readonly string[];
  /** When the first delayed job is due, by the server's clock; undefined without a delayed job. */
  readonly dueMs: number | undefined;
}

export interface StoreListeners {
  onBell(lane: Lane): void;
  onCancel(lane: Lane, id: string): void;
  /** Messages may have been lost: the connection was down. Look at everything again. */
  onGap(): void;
  /** The store does not answer, or answers again. Called at each change. */
  onReachable?(isReachable: boolean): void;
  /** The server's clock is now more than 30 s ahead of this machine's, or (a negative number) behind it. */
  onSkew?(skewMs: number): void;
}

export interface Subscription {
  close(): Promise<void>;
}

/** What workers publish, so that a client without an installation can bind jobs to digests. Keys: `stack/NAME`, `code/TENANT/NAME`. */
export interface Catalogue {
  /** Null: remove the entry. */
  put(entries: ReadonlyMap<string, CatalogueEntry | null>): Promise<void>;
  get(keys: readonly string[]): Promise<readonly (CatalogueEntry | undefined)[]>;
  /** The entries whose keys begin with this text, at most 10,000. */
  list(prefix: string): Promise<ReadonlyMap<string, CatalogueEntry>>;
}

export interface CatalogueEntry {
  readonly digest: string;
  /** ISO 8601, UTC: when the revision was made. */
  readonly since: string;
  /** Of a package: the reference of its stack. */
  readonly stack?: string | undefined;
  readonly retries?: number | undefined;
  readonly maxConcurrency?: number | undefined;
  readonly priority?: number | undefined;
}
