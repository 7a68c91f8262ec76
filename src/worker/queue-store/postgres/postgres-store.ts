/** The port on PostgreSQL: one connection pool for all lanes, and one connection for messages. */
import { PostgresConnection, PostgresQueueBackend } from 'bullmq';
import type { QueryResult, QueryResultRow } from 'pg';
import { jobName, type Lane, laneName, parseLaneName, SEPARATOR } from '../../job/lane.ts';
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
import { closed } from '../store-errors.ts';
import type { PostgresAddress } from '../store-url.ts';
import { waitOutOf } from '../wait-out.ts';
import { withBoundedRows } from './bounded-rows.ts';
import { inspectPostgres, readSuitable } from './check-postgres.ts';
import { withClient } from './connect-postgres.ts';
import { migrate } from './migrate-postgres.ts';
import { isContention, isPostgresOutage, isReadOnly, openPool, type Query } from './pg-pool.ts';
import { BELL_CHANNEL, CANCEL_CHANNEL, createPostgresListener } from './postgres-listener.ts';
import { withServerTime } from './server-time.ts';
import * as statements from './statements.ts';

/** For this many lanes, this process remembers that their settings are written; those of other lanes are written again. */
const MAX_ENTERED = 20_000;
const MAX_QUEUES = 10_000;

const LANES_WITH_JOBS = statements.lanesIn(['waiting', 'delayed', 'active']);
const LANES_WITH_ACTIVE_JOBS = statements.lanesIn(['active']);

/** Connects and checks the server and its tables; fails within the time limit with the reason. */
export async function openPostgres(
  address: PostgresAddress,
  options: QueueStoreOptions,
): Promise<QueueStore> {
  const facts = await inspectPostgres(address);
  requireSameTime(facts, address.shown);
  return createPostgresStore(address, options, facts.loss);
}

/** Creates or updates the queue tables. Fails like {@link openPostgres}. */
export async function migratePostgres(address: PostgresAddress): Promise<void> {
  await withClient(address, async (client) => {
    await readSuitable(client, address.shown);
    await migrate(client);
  });
}

/** Creates the store; sends nothing yet. The server and its tables must have been checked. */
function createPostgresStore(
  address: PostgresAddress,
  options: QueueStoreOptions,
  loss: StoreLoss | undefined,
): QueueStore {
  const { query, line, reachability, root, close } = joinParts(address, options);
  return {
    kind: 'postgres',
    shown: address.shown,
    loss,
    ...laneCalls(query, root),
    ...indexCalls(query),
    async sendCancel(lane, id) {
      await query(statements.NOTIFY, [CANCEL_CHANNEL, jobName({ lane, id })]);
    },
    listen: listenOn(line, reachability),
    catalogue: createCatalogue(query),
    async readServer() {
      const { id, timeline } = await statements.readServer(query);
      // A promoted primary has a later timeline.
      return { id: `${timeline} ${id}`, mayLack: loss !== undefined || timeline > 1 };
    },
    serverTimeMs: () => statements.readTimeMs(query),
    close,
  };
}

function joinParts(address: PostgresAddress, options: QueueStoreOptions) {
  let end: Error | undefined;
  const pool = openPool(address);
  const line = createPostgresListener(address, () => closed(address.shown));
  const reachability = watchReachability({
    async ask() {
      const [timeMs] = await Promise.all([statements.readTimeMs(pool.query), line.ping()]);
      return timeMs;
    },
    reconnect() {
      pool.cutAll();
      line.reconnect();
    },
  });
  const waitOut = waitOutOf({
    isOutage: isPostgresOutage,
    whyClosed: () => end,
    onFailure(error) {
      if (isContention(error)) return;
      // The address may lead to the new primary by now.
      if (isReadOnly(error)) pool.cutAll();
      reachability.note(false);
    },
    onAnswer: () => reachability.note(true),
  });
  const query: Query = (text, values) => waitOut(() => pool.query(text, values));
  const requeue: Query = (text, values) =>
    waitOut(() => pool.transaction((send) => keepAttempts(send, text, values)));
  return {
    /** Waits out outages of the server. */
    query,
    line,
    reachability,
    /** The backends of the lanes are derived from this one. */
    root: createRoot(
      (text, values) => (statements.isRequeue(text) ? requeue : query)(text, values),
      options,
    ),
    async close() {
      if (end !== undefined) return;
      end = closed(address.shown);
      reachability.close();
      line.close();
      await pool.end();
    },
  };
}

/** Requeues a job with its earlier attempts, as Redis does. Workers are notified when the transaction ends. */
async function keepAttempts<R extends QueryResultRow>(
  send: Query,
  text: string,
  values: readonly unknown[] = [],
): Promise<QueryResult<R>> {
  const place = values.slice(0, 2);
  const { rows } = await send<{ attempts: string | null }>(statements.READ_ATTEMPTS, place);
  const done = await send<R>(text, values);
  const attempts = rows[0]?.attempts ?? null;
  if (attempts !== null) await send(statements.PUT_ATTEMPTS, [...place, attempts]);
  return done;
}

/** Gives BullMQ a pool that waits out outages, uses the server's time, and bounds how much of a job is read. */
function createRoot(query: Query, options: QueueStoreOptions): PostgresQueueBackend {
  const pool = {
    query: (text: string, values?: readonly unknown[]) =>
      query(withServerTime(withBoundedRows(text)), values),
    connect: () => Promise.resolve({ query, release: () => undefined }),
    end: () => Promise.resolve(),
    on: () => pool,
    removeAllListeners: () => pool,
  };
  return new PostgresQueueBackend(new PostgresConnection(pool), 'root', laneOptions({}, options));
}

function laneCalls(query: Query, root: PostgresQueueBackend) {
  const entered = new Set<string>();
  const enter = async (name: string) => {
    if (entered.has(name)) return;
    await query(statements.ENTER_LANE, [name]);
    if (entered.size < MAX_ENTERED) entered.add(name);
  };
  return {
    backend: (lane: Lane) => root.forQueue(laneName(lane)),
    async announce<T>(lane: Lane, add: () => Promise<T>): Promise<T> {
      await enter(laneName(lane));
      // The job's row is the index entry of its lane, and BullMQ itself notifies for each added job.
      return await add();
    },
    async ring(lane: Lane): Promise<void> {
      await query(statements.NOTIFY, [BELL_CHANNEL, laneName(lane)]);
    },
    async peek(lane: Lane, count: number): Promise<LaneHead> {
      const { rows } = await query<{ names: readonly string[]; due_ms: number | null }>(
        statements.PEEK,
        [laneName(lane), count],
      );
      return { names: rows[0]?.names ?? [], dueMs: rows[0]?.due_ms ?? undefined };
    },
  };
}

/** The jobs table is the index. */
function indexCalls(query: Query) {
  const list = async (statement: string, queues: readonly string[]): Promise<readonly Lane[]> => {
    const starts = queues.map((queue) => `${queue}${SEPARATOR}`);
    const { rows } = await query<{ queue: string }>(statement, [starts]);
    return rows.map(({ queue }) => parseLaneName(queue)).filter((lane) => lane !== undefined);
  };
  return {
    async listQueues(): Promise<readonly string[]> {
      const { rows } = await query<{ queue: string }>(LANES_WITH_JOBS, [['']]);
      const queues = rows.flatMap(({ queue }) => parseLaneName(queue)?.queue ?? []);
      return [...new Set(queues)].slice(0, MAX_QUEUES);
    },
    listLanes: (queue: string) => list(LANES_WITH_JOBS, [queue]),
    async pruneLanes(lanes: readonly Lane[]): Promise<readonly Lane[]> {
      const names = lanes.map(laneName);
      const { rows } = await query<{ lane: string }>(statements.LANES_WITHOUT_JOBS, [names]);
      const empty = new Set(rows.map(({ lane }) => lane));
      return lanes.filter((lane) => empty.has(laneName(lane)));
    },
    noteActive: () => Promise.resolve(),
    listActive: (queues: readonly string[]) => list(LANES_WITH_ACTIVE_JOBS, queues),
    forgetActive: () => Promise.resolve(),
  };
}

function createCatalogue(query: Query): Catalogue {
  const read = async (statement: string, asked: string | readonly string[]) => {
    const { rows } = await query<{ key: string; entry: string }>(statement, [asked]);
    const found = new Map<string, CatalogueEntry>();
    for (const { key, entry: text } of rows) {
      const entry = parseCatalogueEntry(text);
      if (entry !== undefined) found.set(key, entry);
    }
    return found;
  };
  return {
    async put(entries) {
      const removed = [...entries].filter(([, entry]) => entry === null).map(([key]) => key);
      const kept = [...entries].filter(([, entry]) => entry !== null);
      const texts = kept.map(([, entry]) => JSON.stringify(entry));
      if (kept.length > 0) await query(statements.PUT_ENTRIES, [kept.map(([key]) => key), texts]);
      if (removed.length > 0) await query(statements.REMOVE_ENTRIES, [removed]);
    },
    async get(keys) {
      if (keys.length === 0) return [];
      const found = await read(statements.GET_ENTRIES, keys);
      return keys.map((key) => found.get(key));
    },
    async list(prefix) {
      return await read(statements.LIST_ENTRIES, prefix);
    },
  };
}
