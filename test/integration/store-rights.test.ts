/** The rights that docs/worker.md gives to workers and to the producers of one tenant, on a real server. */
import { readFileSync } from 'node:fs';
import { Job as BullJob, Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TenantName } from '../../src/core/ids.ts';
import { type Lane, laneName } from '../../src/worker/job/lane.ts';
import { migrateStore, openStore } from '../../src/worker/queue-store/open-store.ts';
import type { QueueStore } from '../../src/worker/queue-store/queue-store.ts';
import { startPostgres } from '../support/stores/start-postgres.ts';
import { type RedisServer, startRedis } from '../support/stores/start-redis.ts';

const page = readFileSync(new URL('../../docs/worker.md', import.meta.url), 'utf8');
/** The lines of a file for `aclfile`; a selector in parentheses is one word. */
const users = [...page.matchAll(/^user (\S+) (.+)$/gm)].map(([, name = '', rules = '']) => ({
  name,
  rules: rules.split(/ +(?![^(]*\))/),
}));

const DIGEST = `sha256:${'a'.repeat(64)}`;
const options = { lockMs: 30_000, stalledLookMs: 1000 };
const laneOf = (tenant: string): Lane => ({
  queue: 'mail',
  tenant: tenant as TenantName,
  code: undefined,
});

let redis: RedisServer;
let admin: Redis;
let worker: QueueStore;
let acme: QueueStore;

const urlOf = (user: string) =>
  redis.url.replace('redis://', `redis://${user}:${user.toUpperCase()}-PASSWORD@`);

beforeAll(async () => {
  redis = await startRedis();
  admin = new Redis(redis.url);
  for (const { name, rules } of users) await admin.call('ACL', 'SETUSER', name, ...rules);
  [worker, acme] = await Promise.all([
    openStore(urlOf('worker'), options),
    openStore(urlOf('acme'), options),
  ]);
});
afterAll(async () => {
  await Promise.all([worker?.close(), acme?.close(), admin?.quit()]);
  await redis?.remove();
});

const queueOf = (store: QueueStore, lane: Lane) =>
  new Queue(laneName(lane), { connection: {}, skipMetasUpdate: true }, () => store.backend(lane));

const add = (store: QueueStore, lane: Lane, jobId: string, more: object = {}) =>
  store.announce(lane, async () => {
    await queueOf(store, lane).add('v1', { x: 1 }, { jobId, ...more });
  });

const refused = expect.objectContaining({ message: expect.stringMatching(/NOPERM|permission/) });

it('a producer of a tenant adds jobs to lanes of its tenant, reads and cancels them', async () => {
  const lane = laneOf('acme');
  await add(acme, lane, 'one');
  await add(acme, lane, 'urgent', { priority: 1, delay: 10 });
  const queue = queueOf(acme, lane);
  const job = await queue.getJob('one');
  expect(job?.data).toEqual({ x: 1 });
  await job?.updateData({ x: 2 });
  expect(await queue.getJobCounts('waiting', 'delayed')).toMatchObject({ waiting: 1, delayed: 1 });
  await acme.sendCancel(lane, 'one');
  await acme.catalogue.get(['stack/python-3.13']);
  const capped = { ...lane, code: 'resize' };
  await add(acme, capped, 'two');
});

it('a worker takes, renews, reports and finishes them, and looks after the lanes', async () => {
  await workOn(worker, laneOf('acme'));
});

/** Does everything that a worker does with a job. */
async function workOn(worker: QueueStore, lane: Lane): Promise<void> {
  const unlisten = await worker.listen(['mail'], {
    onBell: () => undefined,
    onCancel: () => undefined,
    onGap: () => undefined,
  });
  expect(await worker.listLanes('mail')).toContainEqual(lane);
  expect((await worker.peek(lane, 10)).names).toEqual(['v1']);
  await worker.noteActive(lane);
  const backend = worker.backend(lane);
  const [json, id] = await backend.moveToActive('token');
  const job = BullJob.fromJSON(queueOf(worker, lane), json ?? {}, id);
  await job.extendLock('token', 30_000);
  await job.updateProgress({ state: 'running' });
  await job.log('line');
  await job.moveToCompleted('done', 'token', false);
  await backend.moveStalledJobsToWait();
  await worker.forgetActive(lane);
  await worker.ring(lane);
  await worker.pruneLanes([lane]);
  await worker.catalogue.put(new Map());
  await worker.serverTimeMs();
  unlisten();
}

it('a producer reaches no lane of another tenant, and no list of lanes', async () => {
  const other = laneOf('other');
  await add(worker, other, 'secret');
  await expect(queueOf(acme, other).getJob('secret')).rejects.toEqual(refused);
  await expect(queueOf(acme, other).add('v1', {}, { jobId: 'x' })).rejects.toEqual(refused);
  await expect(acme.announce(other, () => Promise.resolve())).rejects.toEqual(refused);
  await expect(acme.listLanes('mail')).rejects.toEqual(refused);
  await expect(acme.noteActive(other)).rejects.toEqual(refused);
  await expect(
    acme.catalogue.put(new Map([['stack/x', { digest: 'x', since: 'y' }]])),
  ).rejects.toEqual(refused);
});

it('on PostgreSQL a role without ownership does all that workers and producers do', async () => {
  const postgres = await startPostgres();
  try {
    await migrateStore(postgres.url);
    const [, grants = ''] = /```sql\n([\s\S]*?)```/.exec(page) ?? [];
    await postgres.query(grants);
    const url = postgres.url.replace('postgres://postgres', 'postgres://stackshim_queue');
    const store = await openStore(url, options);
    const lane = laneOf('acme');
    await add(store, lane, 'one');
    await workOn(store, lane);
    await store.catalogue.put(
      new Map([['stack/x', { digest: DIGEST, since: new Date(0).toISOString() }]]),
    );
    await store.close();
    await expect(migrateStore(url)).rejects.toMatchObject({ code: 'ERR_STACKSHIM_STORE_DENIED' });
    const client = new Client({ connectionString: url });
    await client.connect();
    for (const statement of [
      'CREATE TABLE bullmq.mine (x int)',
      'CREATE SCHEMA mine',
      'DROP TABLE stackshim.catalogue',
      'ALTER TABLE bullmq.job ADD COLUMN mine int',
      'DELETE FROM bullmq.migration',
      'UPDATE stackshim.migration SET oldest_reader = 99',
    ]) {
      await expect(client.query(statement)).rejects.toMatchObject({ code: '42501' });
    }
    await client.end();
  } finally {
    await postgres.remove();
  }
});

it.each([
  ['SCAN', '0'],
  ['RANDOMKEY'],
  ['DBSIZE'],
  ['EVAL', "return redis.call('SCAN', 0)", '0'],
  // Tells the names of all keys that change.
  ['CLIENT', 'TRACKING', 'ON', 'BCAST'],
  ['SUBSCRIBE', 'stackshim:bell'],
])('a producer does not see which tenants have jobs: %s', async (command, ...args) => {
  const client = new Redis(urlOf('acme'));
  await expect(client.call(command, ...args)).rejects.toEqual(refused);
  await client.quit();
});

it.each([
  ['SCRIPT', 'FLUSH'],
  ['SCRIPT', 'KILL'],
  ['FUNCTION', 'FLUSH'],
  ['FUNCTION', 'LIST'],
])('a producer does not touch the scripts of others: %s %s', async (...command) => {
  const client = new Redis(urlOf('acme'));
  const [name = '', ...args] = command;
  await expect(client.call(name, ...args)).rejects.toEqual(refused);
  await client.quit();
});

it('a producer hides no lane by what it enters in the index, and makes no worker read it', async () => {
  const client = new Redis(urlOf('acme'));
  const victim = laneOf('victim');
  await add(worker, victim, 'one');
  const huge = 'x'.repeat(1_000_000);
  await client.zadd('stackshim:lanes:mail', 1, `mail~${huge}~`, 1, huge);
  for (let from = 0; from < 210_000; from += 10_000) {
    const names = Array.from({ length: 10_000 }, (_, n) => [1, `no lane ${from + n}`]);
    await client.zadd('stackshim:lanes:mail', ...names.flat().map(String));
  }
  const sent = async () =>
    Number(/total_net_output_bytes:(\d+)/.exec(await admin.info('stats'))?.[1]);
  const before = await sent();
  const lanes = await worker.listLanes('mail');
  expect(lanes).toContainEqual(victim);
  expect((await sent()) - before).toBeLessThan(200_000);
  await client.zadd('stackshim:lanes:mail', '-inf', laneName(victim));
  expect(await worker.listLanes('mail')).toContainEqual(victim);
  await client.quit();
});

it.each(['worker', 'acme'])(
  '%s neither administers the server nor reads other keys',
  async (user) => {
    const client = new Redis(urlOf(user));
    await admin.set('of-another-program', 'x');
    for (const command of [
      ['CONFIG', 'SET', 'appendonly', 'no'],
      ['FLUSHALL'],
      ['KEYS', '*'],
      ['ACL', 'LIST'],
      ['SHUTDOWN'],
      ['MONITOR'],
      ['GET', 'of-another-program'],
    ]) {
      const [name = '', ...args] = command;
      await expect(client.call(name, ...args)).rejects.toEqual(refused);
    }
    await client.quit();
  },
);
