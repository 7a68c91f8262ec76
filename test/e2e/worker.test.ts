/** `stackshim worker` as an operator runs it: jobs of a real store, log, health, notices to systemd, signals, and its end. */
import { readFileSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { dirname } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { laneName } from '../../src/worker/job/lane.ts';
import { openStore } from '../../src/worker/queue-store/open-store.ts';
import type { QueueStore } from '../../src/worker/queue-store/queue-store.ts';
import { runCli, type StartedCli, startCli } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { type NotifySocket, openNotifySocket } from '../support/host/notify-socket.ts';
import { addJobs, laneOf, queueOf } from '../support/queues/lanes.ts';
import { startPostgres } from '../support/stores/start-postgres.ts';
import { findFreePort, type RedisServer, startRedis } from '../support/stores/start-redis.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const PASSWORD = 'store-secret';
const { installation, folder } = useTaskRunner();
const health = `${folder}/health`;

let redis: RedisServer;
let store: QueueStore;
let manager: NotifySocket;
let running: StartedCli[] = [];

beforeAll(async () => {
  redis = await startRedis({ password: PASSWORD });
  store = await openStore(redis.url, { lockMs: 30_000, stalledLookMs: 30_000 });
  manager = openNotifySocket(`${folder}/notify`);
});
afterAll(async () => {
  manager?.close();
  await store?.close();
  await redis?.remove();
});
afterEach(async () => {
  for (const { child, ended } of running) {
    child.kill('SIGKILL');
    await ended;
  }
  running = [];
});

/** Each test has a queue of its own. */
let count = 0;
const nextQueue = () => `queue-${++count}`;

interface LogLine {
  readonly event: string;
  readonly [field: string]: unknown;
}

const linesOf = (text: string): readonly LogLine[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

async function startWorker(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const worker = startCli(['worker', '--log-level', 'debug', ...args], {
    env: { ...installation.env, STACKSHIM_STORE_URL: redis.url, ...env },
  });
  running.push(worker);
  await worker.printed('"event":"started"');
  return worker;
}

async function end(worker: StartedCli) {
  worker.child.kill('SIGTERM');
  const { status, stdout, stderr } = await worker.ended;
  return { status, stderr, log: linesOf(stdout) };
}

const sh = (script: string, more: object = {}) => ({
  version: 1,
  stack: 'busybox',
  command: ['sh', '-c', script],
  ...more,
});

const stateOf = (queue: string, id: string) => queueOf(store, laneOf(queue)).getJobState(id);

const completed = (queue: string, id: string) =>
  waitUntil(async () => (await stateOf(queue, id)) === 'completed');

function askHealth(path: string): Promise<{ readonly code: number; readonly body: object }> {
  return new Promise((resolve, reject) => {
    request({ socketPath: health, path }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ code: response.statusCode ?? 0, body: JSON.parse(text) }));
    })
      .on('error', reject)
      .end();
  });
}

describe('a worker', () => {
  it('runs jobs of its queues, logs what happens, and drains on SIGTERM', async () => {
    const queue = nextQueue();
    await addJobs(store, laneOf(queue, 'acme'), [
      { jobId: 'good', data: sh('cat "$PAYLOAD_FILE"', { payload: 'payload-secret' }) },
      { jobId: 'bad', data: sh('echo output-secret; exit 3') },
      { jobId: 'malformed', data: { version: 1, mounts: [] } },
    ]);
    const worker = await startWorker([queue]);
    for (const id of ['good', 'bad', 'malformed']) await worker.printed(`${id}: `);
    const { status, stderr, log } = await end(worker);
    expect([status, stderr]).toEqual([0, '']);
    const [started, ...events] = log;
    expect(started).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      worker: expect.stringMatching(new RegExp(`/${worker.child.pid}$`)),
      event: 'started',
      store: expect.stringContaining('127.0.0.1'),
      queues: [queue],
      concurrency: expect.any(Number),
      msg: expect.stringContaining(queue),
    });
    const lane = laneName(laneOf(queue, 'acme'));
    const ended = events.filter(({ event }) => event === 'job_ended');
    expect(Object.fromEntries(ended.map((one) => [one['job'], one]))).toMatchObject({
      [`${lane}~good`]: { level: 'info', state: 'complete', verdict: 'succeeded', exitCode: 0 },
      [`${lane}~bad`]: { level: 'warn', state: 'error', verdict: 'failed', exitCode: 3 },
      [`${lane}~malformed`]: { state: 'error', verdict: null, task: null },
    });
    expect(events.map(({ event }) => event).slice(-2)).toEqual(['draining', 'drained']);
    const text = JSON.stringify(log);
    for (const secret of [PASSWORD, 'payload-secret', 'output-secret']) {
      expect(text).not.toContain(secret);
    }
  });

  it('tells systemd when it takes jobs, lives and ends, and answers health requests', async () => {
    const queue = nextQueue();
    manager.receiveAll();
    const worker = await startWorker(['--health', health, queue], {
      NOTIFY_SOCKET: manager.path,
      WATCHDOG_USEC: '200000',
    });
    const said: string[] = [];
    const heard = (start: string) =>
      waitUntil(() => {
        said.push(...manager.receiveAll());
        return said.some((one) => one.startsWith(start));
      });
    await heard('READY=1\nSTATUS=0 jobs running');
    await heard('WATCHDOG=1');
    expect(await askHealth('/healthz')).toEqual({ code: 200, body: { status: 'alive' } });
    expect(await askHealth('/readyz')).toEqual({ code: 200, body: { status: 'ready' } });
    await addJobs(store, laneOf(queue), [{ jobId: 'long', data: sh('sleep 1000') }]);
    await worker.printed('"event":"job_taken"');
    const { body } = await askHealth('/status');
    expect(body).toMatchObject({
      queues: [queue],
      running: 1,
      lanes: 1,
      isTaking: true,
      isStoreReachable: true,
      isGuardAlive: true,
      budget: { reserved: { cpus: 1 }, total: { memoryBytes: expect.any(Number) } },
    });
    expect(JSON.stringify(body)).not.toContain(PASSWORD);
    worker.child.kill('SIGTERM');
    await heard('STOPPING=1');
    await heard('EXTEND_TIMEOUT_USEC=');
    expect(await askHealth('/readyz')).toMatchObject({ code: 503, body: { missing: ['taking'] } });
    // A second signal shortens the drain: the job is handed back, and used up no attempt.
    worker.child.kill('SIGTERM');
    worker.child.kill('SIGTERM');
    const { status, stdout } = await worker.ended;
    expect(status).toBe(0);
    expect(linesOf(stdout)).toContainEqual(
      expect.objectContaining({ event: 'job_handed_back', job: `${queue}~~~long` }),
    );
    expect(await stateOf(queue, 'long')).not.toBe('failed');
    await expect(askHealth('/healthz')).rejects.toThrow(/ENOENT|ECONNREFUSED/);
  });

  it('lets a running task end while it drains', async () => {
    const queue = nextQueue();
    await addJobs(store, laneOf(queue), [
      { jobId: 'slow', data: sh('echo begun > "$TASK_PROGRESS_FILE"; sleep 2') },
      { jobId: 'next', data: sh('true') },
    ]);
    const worker = await startWorker(['--concurrency', '1', queue]);
    await worker.printed('"event":"job_taken"');
    const { status, log } = await end(worker);
    expect(status).toBe(0);
    expect(await stateOf(queue, 'slow')).toBe('completed');
    expect(await stateOf(queue, 'next')).toBe('waiting');
    expect(log.at(-1)).toMatchObject({ event: 'drained', handedBack: 0 });
  });

  it('goes on after SIGHUP, and has the rights of its unit', async () => {
    const queue = nextQueue();
    const worker = startCli(['worker', '--log-level', 'debug', queue], {
      env: { ...installation.env, STACKSHIM_STORE_URL: redis.url },
      through: confinedAs('stackshim-worker@.service'),
    });
    running.push(worker);
    await worker.printed('"event":"started"');
    worker.child.kill('SIGHUP');
    await addJobs(store, laneOf(queue), [
      { jobId: 'one', data: sh('echo "$(id -u)"') },
      { jobId: 'built', data: sh('true', { memory: '64m', disk: '16m', readOnly: true }) },
    ]);
    await completed(queue, 'one');
    await completed(queue, 'built');
    expect(await end(worker)).toMatchObject({ status: 0, stderr: '' });
  });

  it('may be the first to use the run folder: tasks can pass through it', async () => {
    const run = `${folder}/run/fresh`;
    const worker = await startWorker([nextQueue()], { STACKSHIM_RUN: run });
    const modes = [dirname(run), run].map((path) => statSync(path).mode & 0o777);
    expect(modes).toEqual([0o711, 0o711]);
    expect(await end(worker)).toMatchObject({ status: 0 });
    rmSync(dirname(run), { recursive: true });
  });

  it('waits for a store that is away, and says so', async () => {
    const queue = nextQueue();
    const own = await startRedis();
    const worker = await startWorker(['--health', health, queue], { STACKSHIM_STORE_URL: own.url });
    await own.kill();
    await worker.printed('"event":"store_unreachable"');
    expect(await askHealth('/readyz')).toMatchObject({ code: 503, body: { missing: ['store'] } });
    expect(await askHealth('/healthz')).toMatchObject({ code: 200 });
    await own.start();
    await worker.printed('"event":"store_reachable"');
    await waitUntil(async () => (await askHealth('/readyz')).code === 200);
    expect(await end(worker)).toMatchObject({ status: 0 });
    await own.remove();
  });
});

/** Capabilities that the unit drops, and its `NoNewPrivileges`. */
function confinedAs(unit: string): readonly string[] {
  const text = readFileSync(new URL(`../../systemd/${unit}`, import.meta.url), 'utf8');
  const dropped = [...text.matchAll(/^CapabilityBoundingSet=~(.*)$/gm)]
    .flatMap(([, names = '']) => names.split(' '))
    .map((name) => `-${name.replace('CAP_', '').toLowerCase()}`);
  return ['setpriv', `--bounding-set=${dropped.join(',')}`, '--no-new-privs', '--'];
}

describe('a store that cannot be used', () => {
  const tryStore = (url: string, ...args: readonly string[]) =>
    runCli(['worker', ...args, 'mail'], { env: { ...installation.env, STACKSHIM_STORE_URL: url } });
  const failed = (code: string) => ({
    status: 1,
    stdout: '',
    stderr: expect.stringMatching(new RegExp(`^stackshim: .*\\[${code}\\]\n  hint: .*\n$`)),
  });

  it('is named in one sentence when it does not exist', async () => {
    const port = await findFreePort();
    for (const url of [`redis://127.0.0.1:${port}`, `postgres://127.0.0.1:${port}/x`]) {
      expect(await tryStore(url)).toMatchObject(failed('ERR_STACKSHIM_STORE_UNREACHABLE'));
    }
    expect(await tryStore('http://127.0.0.1')).toMatchObject(failed('ERR_STACKSHIM_STORE_INVALID'));
  });

  it('is named when it refuses the password, which is not shown', async () => {
    const result = await tryStore(redis.url.replace(PASSWORD, 'wrong-secret'));
    expect(result).toMatchObject(failed('ERR_STACKSHIM_STORE_DENIED'));
    expect(result.stderr).not.toContain('wrong-secret');
  });

  it('is migrated first if it is PostgreSQL', async () => {
    const postgres = await startPostgres();
    try {
      expect(await tryStore(postgres.url)).toMatchObject(
        failed('ERR_STACKSHIM_STORE_NOT_MIGRATED'),
      );
      expect(await tryStore(postgres.url, '--migrate')).toMatchObject({ status: 0, stderr: '' });
      const worker = await startWorker(['mail'], { STACKSHIM_STORE_URL: postgres.url });
      expect(await end(worker)).toMatchObject({ status: 0 });
    } finally {
      await postgres.remove();
    }
  });
});

it.each([
  [['worker'], 'queue'],
  [['worker', 'a~b'], 'queue'],
  [['worker', '--lock', '1s', 'mail'], 'lock'],
  [['worker', '--health', 'everywhere', 'mail'], 'health'],
])('%j is a mistake of the command line', async (args, named) => {
  const { status, stderr } = await runCli(args, {
    env: { ...installation.env, STACKSHIM_STORE_URL: redis.url },
  });
  expect(status).toBe(2);
  expect(stderr).toContain(named);
});

it('health requests are answered on a port of 127.0.0.1', async () => {
  const port = await findFreePort();
  const worker = await startWorker(['--health', String(port), nextQueue()]);
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
  expect([answer.status, await answer.json()]).toEqual([200, { status: 'ready' }]);
  const { log } = await end(worker);
  expect(log).toContainEqual(
    expect.objectContaining({ event: 'health', address: `127.0.0.1:${port}` }),
  );
});

it('an address that other machines reach is refused', async () => {
  const { status, stderr } = await runCli(['worker', '--health', '0.0.0.0:9000', 'mail'], {
    env: { ...installation.env, STACKSHIM_STORE_URL: redis.url },
  });
  expect(status).toBe(1);
  expect(stderr).toContain('ERR_STACKSHIM_SPEC_DENIED');
});
