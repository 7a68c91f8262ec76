/** What a store is refused for at start, and what doctor finds about a store. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { checkStore } from '../../src/worker/queue-store/check-store.ts';
import { migrateStore, openStore } from '../../src/worker/queue-store/open-store.ts';
import { refusalOf } from '../support/stores/refusal-of.ts';
import { type PostgresServer, startPostgres } from '../support/stores/start-postgres.ts';
import { findFreePort, type RedisServer, startRedis } from '../support/stores/start-redis.ts';
import { scaled } from '../support/timing/time-scale.ts';

const OPTIONS = { lockMs: 30_000, stalledLookMs: 1000 };
const SECRET = 's3cret/word';
const ENCODED = encodeURIComponent(SECRET);

afterEach(() => {
  vi.restoreAllMocks();
});

describe('the URL', () => {
  it.each([
    ['', 'not a URL'],
    ['redis', 'not a URL'],
    [`mysql://u:${ENCODED}@127.0.0.1/x`, 'mysql:'],
    ['redis://127.0.0.1:0x/0', 'not a URL'],
    ['redis://127.0.0.1/first', 'number of a database'],
    ['redis://:%zz@127.0.0.1', 'password'],
    ['redis://127.0.0.1?cacert=/x', 'rediss://'],
    ['rediss://127.0.0.1?password=s3cret', '"password" is not known'],
    ['rediss://127.0.0.1?cacert=/none/ca.pem', '/none/ca.pem: no such file'],
    ['postgres://127.0.0.1/x?sslmode=verify-full&sslrootcert=/none/ca.pem', 'no such file'],
    [`redis://${'x'.repeat(5000)}`, 'not a URL'],
  ])('%s is refused', async (url, words) => {
    expect(await refusalOf(url)).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_INVALID',
      kind: 'invalid',
      message: expect.stringContaining(words),
    });
  });
});

describe.each(['redis', 'rediss', 'valkey', 'postgres'])('%s://', (scheme) => {
  it('nothing listens', async () => {
    const port = await findFreePort();
    expect(await refusalOf(`${scheme}://u:${ENCODED}@127.0.0.1:${port}/0`)).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_UNREACHABLE',
      kind: 'unavailable',
      message: expect.stringMatching(
        `^open the store ${scheme}://u@127.0.0.1:${port}.*ECONNREFUSED`,
      ),
    });
  });

  it('the host has no address', async () => {
    expect(await refusalOf(`${scheme}://u:${ENCODED}@nowhere.invalid:1/0`)).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_UNREACHABLE',
      message: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/),
    });
  });

  it('another server answers', async () => {
    const other = await listen('HTTP/1.1 400 Bad Request\r\n\r\n');
    expect(await refusalOf(`${scheme}://u:${ENCODED}@127.0.0.1:${portOf(other)}/0`)).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_UNREACHABLE',
    });
    await close(other);
  });
});

it('a server that says nothing is refused in time', async () => {
  const silent = await listen();
  const beforeMs = performance.now();
  const refusals = ['redis', 'postgres'].map((scheme) =>
    refusalOf(`${scheme}://u:${ENCODED}@127.0.0.1:${portOf(silent)}/0`),
  );
  for (const error of await Promise.all(refusals)) {
    expect(error).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_UNREACHABLE',
      message: expect.stringMatching(/no answer within 8 s|timeout/),
    });
  }
  // The limit is the code's own, not one of the machine's speed.
  expect(performance.now() - beforeMs).toBeLessThan(scaled(10_000));
  await close(silent);
});

describe('Redis', () => {
  let server: RedisServer;

  beforeAll(async () => {
    server = await startRedis({ password: SECRET, log: 'always' });
  });
  afterAll(() => server?.remove());
  afterEach(async () => {
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await server.command('CONFIG', 'SET', 'appendfsync', 'always');
    await server.command('CONFIG', 'SET', 'appendonly', 'yes');
  });

  it.each(['', 'x:wrong-s3cret@', ':wrong-s3cret@'])('%s is not let in', async (user) => {
    expect(await refusalOf(`redis://${user}127.0.0.1:${server.port}`)).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_DENIED',
      kind: 'denied',
      message: expect.stringMatching(/NOAUTH|WRONGPASS/),
    });
  });

  it('a user without rights is refused', async () => {
    await server.command('ACL', 'SETUSER', 'nobody', 'on', '>s3cret', '+ping');
    expect(await refusalOf(`redis://nobody:s3cret@127.0.0.1:${server.port}`)).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_DENIED',
      message: expect.stringMatching(/NOPERM/),
    });
  });

  it.each(['allkeys-lru', 'volatile-ttl'])('the policy %s would lose jobs', async (policy) => {
    await server.command('CONFIG', 'SET', 'maxmemory-policy', policy);
    expect(await refusalOf(server.url)).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_UNSUITABLE',
      kind: 'unavailable',
      message: expect.stringContaining(`its maxmemory-policy is ${policy}`),
      hint: expect.stringContaining('noeviction'),
    });
  });

  it('a replica only reads', async () => {
    const replica = await startRedis({ password: SECRET, replicaOf: server.port });
    expect(await refusalOf(replica.url)).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_UNSUITABLE',
      message: expect.stringContaining('replica'),
    });
    await replica.remove();
  });

  it('a node of a cluster is refused', async () => {
    const node = await startRedis({ args: ['--cluster-enabled', 'yes'] });
    expect(await refusalOf(node.url)).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_UNSUITABLE',
      message: expect.stringContaining('Redis Cluster'),
    });
    await node.remove();
  });

  it.each([
    ['redis_version:6.0.16', 'Redis 6.0.16 is too old'],
    ['redis_version:5.0.7', 'Redis 5.0.7 is too old'],
  ])('%s is too old', async (version, words) => {
    const old = await answerInfo(`${version}\r\nrole:master\r\nmaxmemory_policy:noeviction`);
    expect(await refusalOf(`redis://127.0.0.1:${portOf(old)}`)).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_UNSUITABLE',
      message: expect.stringContaining(words),
      hint: expect.stringContaining('6.2'),
    });
    await close(old);
  });

  it('a clock that is a minute off is refused', async () => {
    await expectSkewRefused(server.url);
  });

  it('doctor tells what it keeps', async () => {
    const byName = async () =>
      Object.fromEntries((await checkStore(server.url)).map((check) => [check.name, check]));
    expect(await byName()).toMatchObject({
      store: { status: 'ok', message: expect.stringMatching(/^(Redis|Valkey) \d.* at redis:/) },
      'store durability': { status: 'ok', message: 'keeps what it acknowledges' },
      'store clock': { status: 'ok' },
    });
    await server.command('CONFIG', 'SET', 'appendfsync', 'everysec');
    expect(await byName()).toMatchObject({
      'store durability': {
        status: 'warn',
        message: expect.stringMatching(
          /^does not keep what it acknowledges: appendfsync is everysec/,
        ),
        hint: expect.stringContaining('appendfsync always'),
      },
    });
    await server.command('CONFIG', 'SET', 'appendonly', 'no');
    expect(await byName()).toMatchObject({
      'store durability': { message: expect.stringContaining('appendonly is off') },
    });
    shiftClock(-61_000);
    expect(await byName()).toMatchObject({
      'store clock': { status: 'fail', message: "its clock is 61 s ahead of this machine's" },
    });
    const checks = await checkStore(`redis://:wrong-s3cret@127.0.0.1:${server.port}`);
    expect(checks).toMatchObject([{ name: 'store', status: 'fail' }]);
    expect(JSON.stringify(checks)).not.toContain('s3cret');
  });
});

describe('PostgreSQL', () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({ password: SECRET });
  });
  afterAll(() => server?.remove());

  const urlOf = (user: string, database = 'postgres') =>
    `postgres://${user}@127.0.0.1:${server.port}/${database}`;

  it('a wrong password is refused', async () => {
    expect(await refusalOf(urlOf('postgres:wrong-s3cret'))).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_DENIED',
      message: expect.stringContaining('password authentication failed'),
    });
  });

  it('a database that does not exist is named', async () => {
    expect(await refusalOf(server.url.replace(/postgres$/, 'none'))).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_UNREACHABLE',
      message: expect.stringContaining('database "none" does not exist'),
    });
  });

  it('tables come with a migration, once, and with rights', async () => {
    expect(await refusalOf(server.url)).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_NOT_MIGRATED',
      kind: 'unavailable',
      message: expect.stringContaining('no tables for the queues'),
      hint: expect.stringContaining('--migrate'),
    });
    await server.query(`CREATE ROLE worker LOGIN PASSWORD 'other-s3cret'`);
    const worker = urlOf('worker:other-s3cret');
    await expect(migrateStore(worker)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_STORE_DENIED',
      message: expect.stringContaining('permission denied'),
    });
    await Promise.all([migrateStore(server.url), migrateStore(server.url)]);
    await migrateStore(server.url);
    expect(await refusalOf(worker)).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_DENIED',
      message: expect.stringContaining('permission denied for schema'),
    });
    await server.query(`GRANT USAGE ON SCHEMA bullmq, stackshim TO worker`);
    await server.query(`GRANT SELECT ON ALL TABLES IN SCHEMA bullmq, stackshim TO worker`);
    expect(await refusalOf(worker)).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_DENIED',
      message: expect.stringMatching(/lacks rights on bullmq\.\w+$/),
    });
    await server.query(
      `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA bullmq, stackshim TO worker`,
    );
    await server.query(`GRANT USAGE ON ALL SEQUENCES IN SCHEMA bullmq TO worker`);
    const store = await openStore(worker, OPTIONS);
    await store.close();
    await server.query(`UPDATE stackshim.migration SET oldest_reader = 99`);
    expect(await refusalOf(server.url)).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_NOT_MIGRATED',
      message: expect.stringContaining('newer version'),
    });
    await server.query(`UPDATE stackshim.migration SET oldest_reader = 1`);
    await server.query(`DELETE FROM bullmq.migration WHERE version > 1`);
    expect(await refusalOf(server.url)).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_NOT_MIGRATED',
      message: expect.stringContaining('older version'),
    });
    await server.query(`DROP SCHEMA bullmq, stackshim CASCADE`);
    await migrateStore(server.url);
    const made = await openStore(server.url, OPTIONS);
    await made.close();
  });

  it('a read-only database is refused', async () => {
    await server.query(`CREATE DATABASE readonly`);
    await server.query(`ALTER DATABASE readonly SET default_transaction_read_only = on`);
    expect(await refusalOf(server.url.replace(/postgres$/, 'readonly'))).toMatchObject({
      code: 'ERR_STACKSHIM_STORE_UNSUITABLE',
      message: expect.stringContaining('read-only'),
    });
  });

  it('a clock that is a minute off is refused', async () => {
    await migrateStore(server.url);
    await expectSkewRefused(server.url);
  });

  it('doctor tells what it keeps', async () => {
    await migrateStore(server.url);
    const durability = async () =>
      (await checkStore(server.url)).find(({ name }) => name === 'store durability')?.message;
    expect(await durability()).toMatch(/^does not keep .* fsync is off/);
    await server.query(`ALTER SYSTEM SET fsync = on`);
    // The command line of the server comes before ALTER SYSTEM.
    const safe = await startPostgres({ settings: ['fsync=on'] });
    await migrateStore(safe.url);
    const found = await checkStore(safe.url);
    expect(found.map(({ status }) => status)).toEqual(['ok', 'ok', 'ok']);
    expect(found[0]?.message).toMatch(/^PostgreSQL \d+\.\d+ at postgres:\/\/postgres@/);
    await safe.query(`ALTER ROLE postgres SET synchronous_commit = off`);
    expect(await checkStore(safe.url)).toMatchObject([
      { status: 'ok' },
      { status: 'warn', message: expect.stringContaining('synchronous_commit is off') },
      { status: 'ok' },
    ]);
    await safe.remove();
  });
});

async function expectSkewRefused(url: string): Promise<void> {
  shiftClock(60_000);
  expect(await refusalOf(url)).toMatchObject({
    code: 'ERR_STACKSHIM_STORE_SKEWED',
    kind: 'unavailable',
    message: expect.stringMatching(/its clock is (59|60) s behind this machine's, more than 30 s$/),
  });
}

/** Moves the clock of this process. */
function shiftClock(byMs: number): void {
  const now = Date.now.bind(Date);
  vi.spyOn(Date, 'now').mockImplementation(() => now() + byMs);
}

/** A server that sends a greeting, or nothing, and reads whatever comes. */
async function listen(greeting?: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.resume();
    if (greeting !== undefined) socket.end(greeting);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** A server that answers each command of Redis with the same text. */
async function answerInfo(info: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      const commands = chunk.toString('latin1').match(/^\*\d+\r$/gm) ?? [];
      for (const _ of commands) socket.write(`$${info.length}\r\n${info}\r\n`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  await closed;
}
