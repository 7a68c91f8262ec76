/** Calls wait for a store that is away, and tell when it is back; nothing that it acknowledged is lost. */
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { unlessAborted } from '../../src/core/unless-aborted.ts';
import { type Lane, laneName } from '../../src/worker/job/lane.ts';
import { migrateStore, openStore } from '../../src/worker/queue-store/open-store.ts';
import { createPostgresListener } from '../../src/worker/queue-store/postgres/postgres-listener.ts';
import type { QueueStore } from '../../src/worker/queue-store/queue-store.ts';
import { type PostgresServer, startPostgres } from '../support/stores/start-postgres.ts';
import { type RedisOptions, type RedisServer, startRedis } from '../support/stores/start-redis.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

interface Server {
  readonly url: string;
  stop(): Promise<void>;
  kill(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): void;
  start(): Promise<void>;
}

/** Each test has its own: the servers are shared. */
let lane: Lane;
let tests = 0;
let redis: RedisServer;
let postgres: PostgresServer;
const ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  [redis, postgres] = await Promise.all([startRedis({ log: 'always' }), startPostgres()]);
});
beforeEach(() => {
  tests += 1;
  lane = { queue: `outage-${tests}`, tenant: undefined, code: undefined };
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await Promise.all([redis.start(), postgres.start()]);
});
afterAll(async () => {
  await Promise.all([redis?.remove(), postgres?.remove()]);
});

const kinds: readonly [string, () => Server][] = [
  ['redis', () => redis],
  ['postgres', () => postgres],
];

it('a PostgreSQL that does not answer is asked once on the connection for messages', async () => {
  const address = { kind: 'postgres', shown: 'it', url: postgres.url } as const;
  const line = createPostgresListener(address, () => new Error('closed'));
  ends.push(async () => line.close());
  await line.add([lane.queue], silent());
  await postgres.freeze();
  const first = line.ping();
  expect(line.ping()).toBe(first);
  postgres.thaw();
  await first;
  const second = line.ping();
  expect(second).not.toBe(first);
  await second;
});

describe.each(kinds)('%s', (_, serverOf) => {
  it('calls that are made while the server is stopped end when it is back', async () => {
    const { server, store } = await begin(serverOf());
    const seen = await hear(store);
    await server.stop();
    await waitUntil(() => seen.reachable.length > 0);
    // Neither the backend nor its connection was used before.
    const calls = [
      store.serverTimeMs(),
      store.backend(lane).getCounts(['waiting']),
      store.announce(lane, () => add(store, 'during')),
      store.listLanes(lane.queue),
      store.sendCancel(lane, 'during'),
      store.catalogue.get(['stack/none']),
    ];
    await server.start();
    await Promise.all(calls);
    await waitUntil(() => seen.gaps > 0 && isBack(seen));
    expectChanges(seen);
    await store.announce(lane, () => add(store, 'after'));
    await waitUntil(() => seen.bells.includes(laneName(lane)));
    expect(await idsOf(store)).toEqual(['after', 'during']);
  });

  it('jobs that were acknowledged survive kills of the server', async () => {
    const { server, store } = await begin(serverOf());
    const acknowledged: string[] = [];
    let isDone = false;
    const adding = (async () => {
      for (let at = 0; !isDone; at += 1) {
        await store.announce(lane, () => add(store, `job-${at}`));
        acknowledged.push(`job-${at}`);
      }
    })();
    for (const round of [1, 2]) {
      const before = acknowledged.length;
      await waitUntil(() => acknowledged.length > before + 20 * round);
      await server.kill();
      await server.start();
    }
    isDone = true;
    await adding;
    expect(await idsOf(store)).toEqual(expect.arrayContaining(acknowledged));
  });

  it('calls to a frozen server end when it goes on', async () => {
    const { server, store } = await begin(serverOf());
    const seen = await hear(store);
    await server.freeze();
    const call = store.announce(lane, () => add(store, 'frozen'));
    await waitUntil(() => seen.reachable.length > 0);
    server.thaw();
    await call;
    await waitUntil(() => isBack(seen));
    expectChanges(seen);
    expect(await idsOf(store)).toEqual(['frozen']);
  });

  it('a caller ends its own wait, and the end of the store ends the others', async () => {
    const { server, store } = await begin(serverOf());
    await server.stop();
    const controller = new AbortController();
    const given = unlessAborted(store.ring(lane), [controller.signal]);
    controller.abort(new Error('enough'));
    await expect(given).rejects.toThrow('enough');
    const waiting = [store.serverTimeMs(), store.backend(lane).getCounts(['waiting'])];
    const listening = store.listen([lane.queue], silent());
    const ended = Promise.allSettled([...waiting, listening]);
    await store.close();
    for (const { status, ...rest } of await ended) {
      expect(status).toBe('rejected');
      expect(rest).toMatchObject({ reason: { code: 'ERR_STACKSHIM_STORE_CLOSED' } });
    }
  });

  it('a listener that begins while the server is away hears what comes later', async () => {
    const { server, store } = await begin(serverOf());
    await server.stop();
    const hearing = hear(store);
    await server.start();
    const seen = await hearing;
    await store.ring(lane);
    await waitUntil(() => seen.bells.length > 0);
  });
});

describe('redis', () => {
  it('commands whose connections are cut again and again take effect', async () => {
    const { server, store } = await begin(await ownRedis());
    const cut = () => server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await addWhile(store, cut);
  });

  it('follows its address to the replica that was promoted', async () => {
    const { server, store } = await begin(await ownRedis({ log: 'always' }));
    const replica = await startRedis({ replicaOf: server.port });
    ends.push(() => replica.remove());
    const seen = await hear(store);
    await store.announce(lane, () => add(store, 'before'));
    await waitUntil(
      async () => (await replica.command('EXISTS', `stackshim:${laneName(lane)}:before`)) === 1,
    );
    await server.kill();
    const call = store.announce(lane, () => add(store, 'meanwhile'));
    await replica.command('REPLICAOF', 'NO', 'ONE');
    await replica.command('CONFIG', 'SET', 'port', server.port);
    await call;
    await waitUntil(() => seen.gaps > 0);
    expect(await idsOf(store)).toEqual(['before', 'meanwhile']);
    await store.ring(lane);
    await waitUntil(() => seen.bells.length > 0);
  });

  it('waits while its server is only a replica', async () => {
    const { server, store } = await begin(await ownRedis());
    const other = await startRedis();
    ends.push(() => other.remove());
    await server.command('REPLICAOF', '127.0.0.1', other.port);
    const call = store.announce(lane, () => add(store, 'x'));
    const many = store.backend(lane).addJobs([entry('y'), entry('z')]);
    await waitUntil(async () => Number(await readOnlyErrors(server)) > 1);
    await server.command('REPLICAOF', 'NO', 'ONE');
    await Promise.all([call, many]);
    expect(await idsOf(store)).toEqual(['x', 'y', 'z']);
  });

  it('waits while its password is refused', async () => {
    const { server, store } = await begin(await ownRedis({ password: 'first' }));
    const admin = new Redis(server.url);
    await admin.config('SET', 'requirepass', 'second');
    await admin.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    const call = store.serverTimeMs();
    await waitUntil(async () => /acl_access_denied_auth:[1-9]/.test(await admin.info('stats')));
    await admin.config('SET', 'requirepass', 'first');
    expect(await call).toBeGreaterThan(0);
    admin.disconnect();
  });
});

describe('postgres', () => {
  it('commands whose connections are cut again and again take effect', async () => {
    const { server, store } = await begin(postgres);
    await addWhile(store, () =>
      server.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stackshim'`,
      ),
    );
  });

  it('waits while its server only reads', async () => {
    const { server, store } = await begin(postgres);
    await server.query(`ALTER SYSTEM SET default_transaction_read_only = on`);
    await server.query(`SELECT pg_reload_conf()`);
    await waitUntil(async () => {
      const [row] = await server.query('SHOW default_transaction_read_only');
      return JSON.stringify(row).includes('on');
    });
    const call = store.announce(lane, () => add(store, 'x'));
    await server.query(`ALTER SYSTEM RESET default_transaction_read_only`);
    await server.query(`SELECT pg_reload_conf()`);
    await call;
    expect(await idsOf(store)).toEqual(['x']);
  });
});

async function ownRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const server = await startRedis(options);
  ends.push(() => server.remove());
  return server;
}

async function begin<S extends Server>(server: S) {
  await migrateStore(server.url);
  const store = await openStore(server.url, { lockMs: 30_000, stalledLookMs: 1000 });
  ends.push(() => store.close());
  return { server, store };
}

const silent = () => ({
  onBell: () => undefined,
  onCancel: () => undefined,
  onGap: () => undefined,
});

async function hear(store: QueueStore) {
  const seen = { bells: [] as string[], gaps: 0, reachable: [] as boolean[] };
  await store.listen([lane.queue], {
    onBell: (rung) => seen.bells.push(laneName(rung)),
    onCancel: () => undefined,
    onGap() {
      seen.gaps += 1;
    },
    onReachable: (isReachable) => seen.reachable.push(isReachable),
  });
  return seen;
}

interface Seen {
  readonly reachable: readonly boolean[];
}

const isBack = ({ reachable }: Seen) => reachable.at(-1) === true;

/** Each change is told once. A call that the server refused while it started may be heard of after one that it answered. */
function expectChanges({ reachable }: Seen): void {
  expect(reachable).toEqual(reachable.map((_, at) => at % 2 === 1));
}

async function addWhile(store: QueueStore, disturb: () => Promise<unknown>): Promise<void> {
  const disturbing = (async () => {
    for (let round = 0; round < 20; round += 1) await disturb();
  })();
  const ids = Array.from({ length: 300 }, (_, at) => `job-${at}`);
  await Promise.all(ids.map((id) => store.announce(lane, () => add(store, id))));
  const many = Array.from({ length: 50 }, (_, at) => `many-${at}`);
  await store.backend(lane).addJobs(many.map(entry));
  await disturbing;
  expect(await idsOf(store)).toEqual([...ids, ...many].sort());
}

const add = (store: QueueStore, jobId: string) =>
  new Queue(laneName(lane), { connection: {}, skipMetasUpdate: true }, () =>
    store.backend(lane),
  ).add('v1', {}, { jobId });

const entry = (jobId: string) => ({
  jobId,
  job: {
    ...{ id: jobId, name: 'v1', data: '{}', opts: {}, progress: 0, attemptsMade: 0 },
    ...{ attemptsStarted: 0, timestamp: 1, stacktrace: '[]', returnvalue: 'null' },
    ...{ failedReason: '', stalledCounter: 0 },
  },
});

async function idsOf(store: QueueStore): Promise<readonly string[]> {
  const [ids = []] = await store.backend(lane).getRanges(['wait'], 0, -1);
  return [...ids].sort();
}

async function readOnlyErrors(server: RedisServer): Promise<string | undefined> {
  const stats = String(await server.command('INFO', 'errorstats'));
  return /errorstat_READONLY:count=(\d+)/.exec(stats)?.[1];
}
