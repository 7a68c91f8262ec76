/**
 * Runs the programs of docs/producers.md, as they stand there, against real stores. Requires: python3-redis, php-cli, php-redis, redis-tools,
 * postgresql-client, and `npm run build`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseJobData } from '../../src/worker/job/parse-job.ts';
import { migrateStore, openStore } from '../../src/worker/queue-store/open-store.ts';
import type { QueueStore } from '../../src/worker/queue-store/queue-store.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { laneOf } from '../support/stores/client-bed.ts';
import { type HandTaken, takeByHand } from '../support/stores/hand-worker.ts';
import { startPostgres } from '../support/stores/start-postgres.ts';
import { type RedisServer, startRedis } from '../support/stores/start-redis.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const document = readFileSync(new URL('../../docs/producers.md', import.meta.url), 'utf8');
/** By the name in the comment before each. */
const programs = new Map(
  [...document.matchAll(/<!-- program: (\S+) -->\n```\w+\n([\s\S]*?)```/g)].map(
    ([, name = '', code = '']) => [name, code],
  ),
);

let folder: string;
/** With a user: redis-cli sends an empty one otherwise. */
let url: string;
let redis: RedisServer;
let store: QueueStore;

beforeAll(async () => {
  // Below the checkout, where Node finds bullmq.
  folder = await mkdtemp(fileURLToPath(new URL('../../.producers-', import.meta.url)));
  for (const [name, code] of programs) await writeFile(join(folder, name), code);
  const { stdout } = await runCli(['queue', 'script'], { env: {} });
  await writeFile(join(folder, 'add-job.lua'), stdout);
  redis = await startRedis({ password: 'secret' });
  url = redis.url.replace('//:', '//default:');
  store = await openStore(url, { lockMs: 60_000, stalledLookMs: 60_000 });
});

afterAll(async () => {
  await store?.close();
  await redis?.remove();
  await rm(folder, { recursive: true, force: true });
});

function start(command: readonly string[], at: string) {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    cwd: folder,
    env: { ...process.env, STACKSHIM_STORE_URL: at, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]);
  return ended.then(([[status], stdout, stderr]) => ({ status, stdout, stderr }));
}

/** The only name of a job in what a program printed. */
const nameIn = (printed: string) => /\S+~\S*~\S*~\S+/.exec(printed)?.[0] ?? '';

async function taken(job: string, from = store): Promise<HandTaken> {
  const found = await takeByHand(from, laneOf(job));
  expect(`${job.slice(0, job.lastIndexOf('~'))}~${found?.job.id}`).toBe(job);
  return found as HandTaken;
}

it('has these programs', () => {
  expect([...programs.keys()]).toEqual([
    'add-job.sh',
    'add_job.py',
    'add-job.php',
    'add-job.sql',
    'add-job.mjs',
  ]);
});

describe('the programs add a job that workers are told of and accept', () => {
  it.each([
    ['redis-cli', ['sh', 'add-job.sh']],
    ["BullMQ's package for Node", [process.execPath, 'add-job.mjs']],
  ])('%s', async (_, command) => {
    const rung: unknown[] = [];
    const unlisten = await store.listen(['mail'], {
      onBell: (lane) => rung.push(lane),
      onCancel: () => undefined,
      onGap: () => undefined,
    });
    const { status, stdout, stderr } = await start(command, url);
    expect({ status, stderr: stderr.replace(/^Warning: Using a password.*\n/, '') }).toEqual({
      status: 0,
      stderr: '',
    });
    const job = nameIn(stdout);
    expect(await store.listLanes('mail')).toEqual([laneOf(job)]);
    await waitUntil(() => rung.length > 0);
    expect(rung[0]).toEqual(laneOf(job));
    unlisten();
    const one = await taken(job);
    expect(one.job.name).toBe('v1');
    parseJobData(one.job.data);
    await one.end('complete');
  });

  it('Python, which waits for the end', async () => {
    for (const state of ['complete', 'killed'] as const) {
      const ended = start(['/usr/bin/python3', 'add_job.py'], url);
      let one: HandTaken | undefined;
      await waitUntil(async () => {
        one = await takeByHand(store, { queue: 'mail', tenant: 'acme' as never, code: undefined });
        return one !== undefined;
      });
      expect(parseJobData(one?.job.data)).toMatchObject({
        payload: '{"to": "you"}',
        memory: '64m',
      });
      await one?.log('out', '42\n');
      await one?.end(state);
      const { status, stdout, stderr } = await ended;
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toMatch(
        new RegExp(`^queued mail~acme~~py-[0-9a-f]{20}\nended as ${state}\n42\n$`),
      );
    }
  });

  it('PHP, with a delay and a priority', async () => {
    const before = await store.serverTimeMs();
    const { status, stdout, stderr } = await start(['php', 'add-job.php'], url);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const job = nameIn(stdout);
    const backend = store.backend(laneOf(job));
    const id = job.slice(job.lastIndexOf('~') + 1);
    expect(await backend.getState(id)).toBe('delayed');
    const json = await backend.getJobData(id);
    expect(json).toMatchObject({ delay: 600_000, priority: 5 });
    expect(json?.timestamp).toBeGreaterThanOrEqual(before);
    parseJobData(JSON.parse(json?.data ?? ''));
    await backend.promote(id);
    await (await taken(job)).end('complete');
  });

  it('SQL', async () => {
    const server = await startPostgres();
    await migrateStore(server.url);
    const sql = await openStore(server.url, { lockMs: 60_000, stalledLookMs: 60_000 });
    try {
      const rung: unknown[] = [];
      await sql.listen(['mail'], {
        onBell: (lane) => rung.push(lane),
        onCancel: () => undefined,
        onGap: () => undefined,
      });
      const args = ['-v', 'id=invoice-1', '-v', 'ON_ERROR_STOP=1', '-At', '-f', 'add-job.sql'];
      for (let again = 0; again < 2; again++) {
        expect(await start(['psql', '-X', server.url, ...args], server.url)).toEqual({
          status: 0,
          stdout: 'invoice-1\n',
          stderr: '',
        });
      }
      await waitUntil(() => rung.length > 0);
      const one = await taken('mail~acme~~invoice-1', sql);
      parseJobData(one.job.data);
      await one.end('complete');
      expect(await takeByHand(sql, laneOf('mail~acme~~invoice-1'))).toBeUndefined();
    } finally {
      await sql.close();
      await server.remove();
    }
  });
});

describe('the script', () => {
  const script = () => readFileSync(join(folder, 'add-job.lua'), 'utf8');
  const add = (...args: readonly (string | number)[]) =>
    redis.command('EVAL', script(), 0, ...args);
  const job = '{"version":1,"stack":"s"}';

  it('adds an id once, by priority, into the lane of a capped package', async () => {
    expect(await add('q', '', 'low', job, 0, 9)).toBe('q~~~low');
    expect(await add('q', '', 'high', job, 0, 1)).toBe('q~~~high');
    expect(await add('q', '', 'first', job)).toBe('q~~~first');
    expect(await add('q', '', 'first', '{"version":1,"stack":"other"}')).toBe('q~~~first');
    expect(await add('q', 'acme', 'capped', job, 0, 0, 'mailer')).toBe('q~acme~mailer~capped');
    for (const name of ['q~~~first', 'q~~~high', 'q~~~low', 'q~acme~mailer~capped']) {
      const one = await taken(name);
      expect(one.job.data).toEqual({ version: 1, stack: 's' });
      await one.end('complete');
    }
    expect(await takeByHand(store, laneOf('q~~~first'))).toBeUndefined();
  });

  it('keeps a paused queue paused, and lets it go on after a resume', async () => {
    const queue = (...args: readonly string[]) =>
      runCli(['queue', ...args], { env: { STACKSHIM_STORE_URL: url } });
    await queue('pause', 'p');
    expect(await add('p', 'new', 'a', job)).toBe('p~new~~a');
    expect(await takeByHand(store, laneOf('p~new~~a'))).toBeUndefined();
    await queue('resume', 'p');
    await (await taken('p~new~~a')).end('complete');
    await queue('pause', 'p', '--tenant', 'new');
    await add('p', 'new', 'b', job, 0, 4);
    expect(await takeByHand(store, laneOf('p~new~~b'))).toBeUndefined();
    await redis.command('DEL', 'stackshim:lanes:p');
    await queue('resume', 'p', '--tenant', 'new');
    await add('p', 'new', 'c', job);
    await (await taken('p~new~~c')).end('complete');
    await (await taken('p~new~~b')).end('complete');
  });

  it.each([
    ['QUEUE', ['', '', 'i', job]],
    ['QUEUE', ['a~b', '', 'i', job]],
    ['QUEUE', ['a'.repeat(65), '', 'i', job]],
    ['TENANT', ['q', 'a:b', 'i', job]],
    ['ID', ['q', '', '17', job]],
    ['ID', ['q', '', 'repeat:x', job]],
    ['ID', ['q', '', 'a\nb', job]],
    ['JOB', ['q', '', 'i', 'text']],
    ['JOB', ['q', '', 'i', '7']],
    ['JOB', ['q', '', 'i', '{}']],
    ['JOB', ['q', '', 'i', `${'['.repeat(5000)}${']'.repeat(5000)}`]],
    ['DELAY', ['q', '', 'i', job, 'soon']],
    ['DELAY', ['q', '', 'i', job, -1]],
    ['PRIORITY', ['q', '', 'i', job, 0, 2_097_152]],
    ['CODE', ['q', '', 'i', job, 0, 0, '../x']],
    ['give QUEUE', ['q', '', 'i']],
  ])('refuses an invalid %s: %#', async (named, args) => {
    await expect(add(...args)).rejects.toThrow(new RegExp(`^ERR stackshim: .*${named}`));
    expect(await store.backend(laneOf('q~~~i')).getState('i')).toBe('unknown');
  });
});
