/** The port on Redis and Valkey. */
import { createRedisBackend, type IQueueBackend } from 'bullmq';
import type { Redis } from 'ioredis';
import { messageOf } from '../../../core/errors.ts';
import { pause, within } from '../../../core/pause.ts';
import { isQueueName, jobName, type Lane, laneName, parseLaneName } from '../../job/lane.ts';
import { parseCatalogueEntry } from '../catalogue-entry.ts';
import { laneOptions } from '../lane-settings.ts';
import { listenOn } from '../listeners.ts';
import type {
  Catalogue,
  CatalogueEntry,
  LaneHead,
  QueueStore,
  QueueStoreOptions,
  StoreLoss,
} from '../queue-store.ts';
import { watchReachability } from '../reachability.ts';
import { requireSameTime } from '../skew.ts';
import { closed, full } from '../store-errors.ts';
import type { RedisAddress } from '../store-url.ts';
import { waitOutOf } from '../wait-out.ts';
import { inspectClient, parseInfo } from './check-redis.ts';
import { openConnection, readTimeMs } from './connect-redis.ts';
import { guardScripts } from './guard-scripts.ts';
import { endNow, isRedisFull, isRedisOutage, newRedisClient } from './redis-client.ts';
import { createRedisListener } from './redis-listener.ts';
import {
  ACTIVE_KEY,
  CANCEL_CHANNEL,
  CATALOGUE_KEY,
  defineScripts,
  lanesKey,
} from './redis-scripts.ts';
import { waitingBackend } from './waiting-backend.ts';

interface OpenRedis {
  readonly address: RedisAddress;
  readonly client: Redis;
  /** The backends of the lanes are derived from this one. */
  readonly root: IQueueBackend;
  readonly loss: StoreLoss | undefined;
}

type Parts = OpenRedis & ReturnType<typeof joinParts>;

const CONNECT_MS = 10_000;
const QUIT_MS = 1000;
/** The time between marking a lane and checking it again. */
const PRUNE_AFTER_MS = 300;
/** Clocks of producers that announce lanes on their own may be off by this much. */
const SLACK_MS = 5 * 60_000;
/** Bounds what a hostile producer can make a worker read. */
const MAX_LANES = 200_000;
const MAX_QUEUES = 10_000;
/** Occupies the server for about a millisecond. */
const SCANNED_AT_ONCE = 5000;

/** Connects and checks the server; fails within the time limit with the reason. */
export async function openRedis(
  address: RedisAddress,
  options: QueueStoreOptions,
): Promise<QueueStore> {
  const { client, result, keep } = await openConnection(address, async (connected) => {
    const facts = await inspectClient(connected, address.shown);
    requireSameTime(facts, address.shown);
    guardScripts(connected);
    const root = createRedisBackend('root', laneOptions(connected, options));
    // Without a listener an error of the connection would end the process.
    root.on('error', () => undefined);
    await root.waitUntilReady();
    return { root, loss: facts.loss };
  });
  keep();
  return createRedisStore({ address, client, ...result });
}

function createRedisStore(open: OpenRedis): QueueStore {
  let end: Error | undefined;
  const parts = { ...open, ...joinParts(open, () => end) };
  const { client, waitOut, listener, reachability } = parts;
  return {
    kind: 'redis',
    shown: open.address.shown,
    loss: open.loss,
    ...laneCalls(parts),
    ...indexCalls(parts),
    async sendCancel(lane, id) {
      await waitOut(() => client.publish(CANCEL_CHANNEL, jobName({ lane, id })));
    },
    listen: listenOn(listener, reachability),
    catalogue: createCatalogue(parts),
    async readServer() {
      const info = parseInfo(await waitOut(() => client.info()));
      // A server promoted from a replica may lack its primary's last writes, however well it keeps its own.
      const wasReplica = (info.get('second_repl_offset') ?? '-1') !== '-1';
      return { id: info.get('run_id') ?? '', mayLack: open.loss !== undefined || wasReplica };
    },
    serverTimeMs: () => waitOut(() => readTimeMs(client)),
    async close() {
      if (end !== undefined) return;
      end = closed(open.address.shown);
      reachability.close();
      listener.close();
      if (client.status === 'ready') await within(client.quit(), QUIT_MS).catch(() => undefined);
      endNow(client);
    },
  };
}

function joinParts({ address, client }: OpenRedis, whyClosed: () => Error | undefined) {
  const shouldRetry = () => whyClosed() === undefined;
  const listener = createRedisListener(
    newRedisClient(address, {
      name: 'stackshim-listener',
      connectTimeoutMs: CONNECT_MS,
      isChecked: true,
      shouldRetry,
    }),
    () => closed(address.shown),
  );
  const reachability = watchReachability({
    async ask() {
      const [timeMs] = await Promise.all([readTimeMs(client), listener.ping()]);
      return timeMs;
    },
    reconnect() {
      client.disconnect(true);
      listener.reconnect();
    },
  });
  client.on('ready', () => reachability.note(true));
  client.on('close', () => {
    reachability.note(false);
    // The listener's messages may meanwhile have come from another server.
    listener.reconnect();
  });
  const waitOut = waitOutOf({
    isOutage: isRedisOutage,
    explain: (error) => (isRedisFull(error) ? full(address.shown) : error),
    whyClosed,
    onFailure: () => reachability.note(false),
    onAnswer: () => reachability.note(true),
  });
  return { listener, reachability, waitOut, scripts: defineScripts(client) };
}

function laneCalls({ root, waitOut, scripts }: Parts) {
  const ring = async (lane: Lane) => {
    await waitOut(() => scripts.ring(lane.queue, laneName(lane)));
  };
  return {
    backend(lane: Lane): IQueueBackend {
      const name = laneName(lane);
      return waitingBackend(root.forQueue(name), waitOut, (pairs, lockMs) =>
        scripts.renew(name, pairs, lockMs),
      );
    },
    async announce<T>(lane: Lane, add: () => Promise<T>): Promise<T> {
      await waitOut(() => scripts.enter(lane.queue, laneName(lane)));
      const added = await waitOut(add);
      // Enters the lane again, because it may have been pruned during a slow `add`.
      await ring(lane);
      return added;
    },
    ring,
    async peek(lane: Lane, count: number): Promise<LaneHead> {
      const [names, due] = (await waitOut(() => scripts.peek(laneName(lane), count))) as PeekReply;
      return { names, dueMs: due === null ? undefined : Number(due) };
    },
  };
}

type PeekReply = readonly [names: readonly string[], due: string | null];

function indexCalls(parts: Parts) {
  const { client, waitOut, scripts } = parts;
  return {
    async listQueues(): Promise<readonly string[]> {
      const start = lanesKey('');
      const queues = new Set<string>();
      let cursor = '0';
      do {
        const asked = cursor;
        const [next, keys] = await waitOut(() =>
          client.scan(asked, 'MATCH', `${start}*`, 'COUNT', SCANNED_AT_ONCE),
        );
        for (const key of keys) queues.add(key.slice(start.length));
        cursor = next;
      } while (cursor !== '0' && queues.size < MAX_QUEUES);
      return [...queues].filter(isQueueName).slice(0, MAX_QUEUES);
    },
    async listLanes(queue: string, sinceMs?: number): Promise<readonly Lane[]> {
      const least = sinceMs === undefined ? '' : String(sinceMs - SLACK_MS);
      const names = new Set<string>();
      let cursor = '0';
      do {
        const asked = cursor;
        const [next, found] = (await waitOut(() => scripts.list(queue, asked, least))) as ListReply;
        for (const name of found) if (parseLaneName(name)?.queue === queue) names.add(name);
        cursor = next;
      } while (cursor !== '0' && names.size < MAX_LANES);
      return toLanes([...names]);
    },
    async pruneLanes(lanes: readonly Lane[]): Promise<readonly Lane[]> {
      const marks = await Promise.all(lanes.map((lane) => markLane(parts, lane)));
      await pause(PRUNE_AFTER_MS);
      const removed = await Promise.all(
        lanes.map(async (lane, at) => {
          const mark = marks[at];
          if (mark === undefined) return 0;
          return await waitOut(() => scripts.sweep(lane.queue, laneName(lane), mark));
        }),
      );
      return lanes.filter((_, at) => removed[at] === 1);
    },
    async noteActive(lane: Lane): Promise<void> {
      await waitOut(() => scripts.note(laneName(lane)));
    },
    async listActive(queues: readonly string[]): Promise<readonly Lane[]> {
      const names = await waitOut(() => client.zrange(ACTIVE_KEY, 0, MAX_LANES - 1));
      return toLanes(names).filter((lane) => queues.includes(lane.queue));
    },
    async forgetActive(lane: Lane): Promise<void> {
      await waitOut(() => scripts.forget(laneName(lane)));
    },
  };
}

type ListReply = readonly [cursor: string, names: readonly string[]];

/** Resolves to the mark. Undefined if the lane has jobs, or keys of a type that BullMQ does not use: the lane then stays in the index. */
async function markLane({ waitOut, scripts }: Parts, lane: Lane): Promise<string | undefined> {
  try {
    const mark = await waitOut(() => scripts.mark(lane.queue, laneName(lane)));
    return typeof mark === 'string' ? mark : undefined;
  } catch (error) {
    if (/^WRONGTYPE /.test(messageOf(error))) return undefined;
    throw error;
  }
}

const toLanes = (names: readonly string[]): readonly Lane[] =>
  names.map(parseLaneName).filter((lane) => lane !== undefined);

const SCANNED = 500;
const MOST_LISTED = 10_000;

function createCatalogue({ client, waitOut }: Parts): Catalogue {
  return {
    async put(entries) {
      const removed = [...entries].filter(([, entry]) => entry === null).map(([key]) => key);
      const fields = [...entries].flatMap(([key, entry]) =>
        entry === null ? [] : [key, JSON.stringify(entry)],
      );
      if (fields.length > 0) await waitOut(() => client.hset(CATALOGUE_KEY, ...fields));
      if (removed.length > 0) await waitOut(() => client.hdel(CATALOGUE_KEY, ...removed));
    },
    async get(keys) {
      if (keys.length === 0) return [];
      const texts = await waitOut(() => client.hmget(CATALOGUE_KEY, ...keys));
      return texts.map((text) => (text === null ? undefined : parseCatalogueEntry(text)));
    },
    async list(prefix) {
      const found = new Map<string, CatalogueEntry>();
      let cursor = '0';
      do {
        const scan = () =>
          client.hscan(CATALOGUE_KEY, cursor, 'MATCH', `${prefix}*`, 'COUNT', SCANNED);
        const [next, fields] = await waitOut(scan);
        for (let at = 0; at + 1 < fields.length; at += 2) {
          const [key = '', text = ''] = fields.slice(at, at + 2);
          const entry = parseCatalogueEntry(text);
          if (entry !== undefined && key.startsWith(prefix)) found.set(key, entry);
        }
        cursor = next;
      } while (cursor !== '0' && found.size < MOST_LISTED);
      return found;
    },
  };
}
