/** The `queue` commands of the executable, on a real store; jobs are taken by hand. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { laneName, parseJobName } from '../../src/worker/job/lane.ts';
import { openStore } from '../../src/worker/queue-store/open-store.ts';
import type { QueueStore } from '../../src/worker/queue-store/queue-store.ts';
import { type CliResult, runCli, startCli } from '../support/cli/run-cli.ts';
import { digest, SINCE } from '../support/stores/client-bed.ts';
import { type HandTaken, takeByHand } from '../support/stores/hand-worker.ts';
import { type RedisServer, startRedis } from '../support/stores/start-redis.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

let server: RedisServer;
let store: QueueStore;
let folder: string;
let env: Readonly<Record<string, string>>;

beforeAll(async () => {
  server = await startRedis({ password: 'secret' });
  store = await openStore(server.url, { lockMs: 60_000, stalledLookMs: 60_000 });
  await store.catalogue.put(
    new Map([['stack/python-3.13', { digest: digest('a'), since: SINCE }]]),
  );
  folder = await mkdtemp('/var/tmp/stackshim-queue-');
  // No installation: names come from the catalogue.
  env = {
    STACKSHIM_STORE_URL: server.url,
    STACKSHIM_ROOT: join(folder, 'root'),
    STACKSHIM_RUN: join(folder, 'run'),
  };
});

afterAll(async () => {
  await store?.close();
  await server?.remove();
  await rm(folder, { recursive: true, force: true });
});

const queue = (...args: readonly string[]) => runCli(['queue', ...args], { env });

/** Its output, if it succeeds. */
async function said(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await queue(...args);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return stdout;
}

const json = async (...args: readonly string[]) => JSON.parse(await said(...args, '--json'));

async function take(job: string): Promise<HandTaken> {
  const taken = await takeByHand(store, parseJobName(job).lane);
  if (taken?.job.id !== parseJobName(job).id) throw new Error(`took ${taken?.job.id}`);
  return taken;
}

const task = (verdict: string, more = {}) =>
  ({ id: 't', verdict, exitCode: null, signal: null, error: null, ...more }) as never;

/** Takes the only job of a lane, once there is one. */
async function takeNext(name: string): Promise<HandTaken> {
  let taken: HandTaken | undefined;
  await waitUntil(async () => {
    taken = await takeByHand(store, { queue: name, tenant: undefined, code: undefined });
    return taken !== undefined;
  });
  return taken as HandTaken;
}

describe('queue add', () => {
  it('adds what its options say', async () => {
    const config = join(folder, 'config');
    await writeFile(config, Buffer.from([0, 1, 255]));
    const args = [
      '--tenant',
      'acme',
      '--stack',
      'python-3.13',
      '-m',
      '64m',
      '--cpus',
      '0.5',
      '-e',
      'A=1',
    ];
    const more = [
      '--label',
      'x=y',
      '--retries',
      '2',
      '--retry-delay',
      '5s',
      '--backoff',
      'exponential',
    ];
    const kept = ['--output', 'a.txt', '--output', 'b', '--memory-retry', '1g', '--timeout', '10s'];
    const job = (
      await said(
        'add',
        'mail',
        ...args,
        ...more,
        ...kept,
        '--payload',
        '{}',
        '--config-file',
        config,
        '--priority',
        '3',
        '--',
        'python3',
        '-c',
        'pass',
      )
    ).trim();
    expect(job).toMatch(/^mail~acme~~[a-z2-7]{20}$/);
    const { job: taken, end } = await take(job);
    expect(taken.opts.priority).toBe(3);
    expect(taken.data).toEqual({
      version: 1,
      stack: `python-3.13@${digest('a')}`,
      command: ['python3', '-c', 'pass'],
      memory: '64m',
      cpus: '0.5',
      timeout: '10s',
      env: { A: '1' },
      labels: { x: 'y' },
      payload: '{}',
      configBase64: 'AAH/',
      outputs: ['a.txt', 'b'],
      retries: 2,
      retryDelay: '5s',
      backoff: 'exponential',
      memoryRetry: '1g',
    });
    await end('complete');
  });

  it('takes a payload from a file or from standard input, byte for byte', async () => {
    const file = join(folder, 'payload');
    await writeFile(file, 'from a file\n');
    const job = ['add', 'inputs', '--stack', 'python-3.13'];
    const first = (await said(...job, '--payload-file', file)).trim();
    const bytes = Buffer.from([0xff, 0, 10]);
    const piped = await runCli(['queue', ...job, '--payload', '-', '--json'], {
      env,
      input: bytes,
    });
    expect((await take(first)).job.data).toMatchObject({ payload: 'from a file\n' });
    expect((await take(JSON.parse(piped.stdout).job)).job.data).toMatchObject({
      payloadBase64: '/wAK',
    });
    const both = await queue(...job, '--payload', 'a', '--payload-file', file);
    expect(both).toMatchObject({ status: 2 });
    const large = join(folder, 'large');
    await writeFile(large, Buffer.alloc(70_000));
    expect(await queue(...job, '--payload-file', large)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('--payload'),
    });
    await writeFile(large, Buffer.alloc(1_100_000));
    expect(await queue(...job, '--payload-file', large)).toMatchObject({ status: 2 });
    expect(await queue(...job, '--payload-file', join(folder, 'none'))).toMatchObject({
      status: 3,
    });
  });

  it.each([
    [2, '--stack', ['--stack', 'a/b']],
    [2, '--memory', ['--stack', 'python-3.13', '-m', '1k']],
    [2, '--retries', ['--stack', 'python-3.13', '--retries', '11']],
    [2, '--retries', ['--stack', 'python-3.13', '--retries', 'x']],
    [2, '--output', ['--stack', 'python-3.13', '--output', 'a:/b']],
    [2, '--tenant', ['--stack', 'python-3.13', '--tenant', '../x']],
    [2, '--delay', ['--stack', 'python-3.13', '--delay', 'later']],
    [2, '--stack', []],
    [1, '--timeout', ['--stack', 'python-3.13', '--timeout', '2h']],
    [2, 'unknown option', ['--stack', 'python-3.13', '--network', 'host']],
    [2, 'unknown option', ['--stack', 'python-3.13', '-v', '/:/host']],
    [3, 'ruby-3.3', ['--stack', 'ruby-3.3']],
  ])('ends with status %i for an invalid %s: %j', async (status, named, args) => {
    const result = await queue('add', 'refused', ...args);
    expect(result).toMatchObject({ status, stdout: '' });
    expect(result.stderr).toContain(named);
    expect(await store.listLanes('refused')).toEqual([]);
  });

  it('adds a job with a key once, and leaves names to the worker if asked', async () => {
    const args = ['add', 'once', '--stack', 'ruby-3.3', '--unbound', '--key', 'k'];
    expect(await said(...args)).toBe(await said(...args));
  });
});

describe('queue add --wait', () => {
  const args = ['queue', 'add', 'wait', '--stack', 'python-3.13', '--wait'];

  async function waited(end: (taken: HandTaken) => Promise<void>): Promise<CliResult> {
    const { ended } = startCli(args, { env });
    await end(await takeNext('wait'));
    return await ended;
  }

  it('prints the output of the task as it comes, each stream where the task wrote it', async () => {
    const cli = startCli(args, { env });
    const taken = await takeNext('wait');
    await taken.log('out', 'first\n');
    await cli.printed('first\n');
    await taken.log('err', 'warning\n');
    await taken.log('out', 'last');
    await taken.end('complete', { task: task('succeeded', { exitCode: 0 }) });
    expect(await cli.ended).toMatchObject({
      status: 0,
      stdout: 'first\nlast',
      stderr: 'warning\n',
    });
  });

  it.each([
    [7, 'error', task('failed', { exitCode: 7 }), ''],
    [143, 'error', task('signaled', { signal: 'SIGTERM' }), ''],
    [124, 'timeout', task('timed_out', { signal: 'SIGKILL' }), 'longer than its timeout'],
    [137, 'killed', task('oom_killed', { signal: 'SIGKILL' }), 'oom_killed'],
    [143, 'cancelled', task('cancelled', { signal: 'SIGKILL' }), 'cancelled'],
    [143, 'cancelled', null, 'cancelled'],
    [125, 'error', null, 'error'],
    [125, 'error', task('no verdict'), 'no verdict'],
  ] as const)(
    'ends with status %i for a job that ended as %s: %#',
    async (status, state, result, told) => {
      const end = await waited((taken) => taken.end(state, { task: result }));
      expect(end.status).toBe(status);
      if (told === '') expect(end.stderr).toBe('');
      else expect(end.stderr).toContain(told);
    },
  );

  it("ends with run's statuses for a task that could not be started", async () => {
    const error = {
      code: 'ERR_STACKSHIM_COMMAND_NOT_FOUND',
      kind: 'not_found',
      message: 'start command nosuch: no such program',
      hint: 'check it',
      details: {},
    } as const;
    const end = await waited((taken) =>
      taken.end('error', { error, task: task('setup_failed', { error }) }),
    );
    expect(end).toMatchObject({ status: 127, stderr: expect.stringContaining('nosuch') });
  });

  it('ends with 125 if the job cannot be queued', async () => {
    expect(await queue('add', 'wait', '--stack', 'ruby-3.3', '--wait')).toMatchObject({
      status: 125,
    });
    expect(await queue('add', 'wait', '--wait', '--nosuch')).toMatchObject({ status: 125 });
  });

  it('prints the status of the job as JSON, if asked', async () => {
    const { ended } = startCli([...args, '--json'], { env });
    const taken = await takeNext('wait');
    await taken.log('out', 'hidden\n');
    await taken.end('complete', { task: task('succeeded', { exitCode: 0 }) });
    const { status, stdout } = await ended;
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ state: 'complete', result: { attempt: 1 } });
  });

  it('can be interrupted, also while the store does not answer; the job goes on', async () => {
    const { child, ended } = startCli(args, { env });
    const taken = await takeNext('wait');
    await taken.log('out', 'x');
    await server.freeze();
    child.kill('SIGINT');
    expect(await ended).toMatchObject({ status: 130, stderr: expect.stringContaining('goes on') });
    server.thaw();
    await taken.end('complete');
  });
});

describe('other queue commands', () => {
  const add = async (name: string, ...more: readonly string[]) =>
    (await said('add', name, '--stack', 'python-3.13', ...more)).trim();

  it('show and change jobs', async () => {
    const job = await add('jobs', '--delay', '1h');
    expect(await said('status', job)).toMatch(
      new RegExp(
        `^JOB +STATE +ATTEMPT +AGE +TIME +DETAIL\\n${job} +queued +0 +\\d+s +starts at .*Z\\n$`,
      ),
    );
    expect(await json('status', job)).toMatchObject([{ job, state: 'queued' }]);
    const missing = await queue('status', job, 'jobs~~~none', 'no name');
    expect(missing).toMatchObject({ status: 3, stdout: expect.stringContaining(job) });
    expect(missing.stderr).toContain('ERR_STACKSHIM_JOB_NOT_FOUND');
    expect(await said('cancel', job)).toBe(`${job}\n`);
    expect(await json('status', job)).toMatchObject([{ state: 'cancelled' }]);
    await (await take(job)).end('cancelled');
    expect(await said('retry', job)).toBe(`${job}\n`);
    expect(await queue('retry', job)).toMatchObject({ status: 4 });
    await (await take(job)).end('error', { task: task('failed', { exitCode: 3 }) });
    expect(await said('status', job)).toMatch(/ error +1 .* exit code 3\n$/);
    expect(await queue('cancel', job)).toMatchObject({ status: 4 });
    expect(await said('rm', job)).toBe(`${job}\n`);
    expect(await queue('status', job)).toMatchObject({ status: 3 });
  });

  it('print logs, and copy artefacts', async () => {
    const job = await add('logs');
    const taken = await take(job);
    const { lane, id } = parseJobName(job);
    const kept = join(folder, 'kept', laneName(lane), id, '1');
    await mkdir(kept, { recursive: true });
    await writeFile(join(kept, 'report'), 'r');
    await writeFile(join(kept, 'two\nlines'), '');
    await taken.log('out', 'one\ntwo\n');
    const following = startCli(['queue', 'logs', '-f', job], { env });
    await following.printed('two\n');
    await taken.log('out', 'three\n');
    await taken.end('complete', { artefacts: [{ path: 'report', sizeBytes: 1 }] });
    expect(await following.ended).toMatchObject({ status: 0, stdout: 'one\ntwo\nthree\n' });
    expect(await said('logs', '-n', '1', job)).toBe('three\n');
    expect(await said('logs', '-t', job)).toMatch(/^(\d{4}-\S+Z (one|two|three)\n){3}$/);
    const to = join(folder, 'to');
    const outputs = await said('outputs', job, to, '--artefacts', join(folder, 'kept'));
    expect(outputs.split('\n').toSorted()).toEqual(['', 'report', 'two\\nlines']);
    expect(await readFile(join(to, 'report'), 'utf8')).toBe('r');
    expect(await queue('outputs', job, to)).toMatchObject({ status: 2 });
    expect(await queue('logs', '-n', 'x', job)).toMatchObject({ status: 2 });
  });

  it('do not print what could control a terminal', async () => {
    const job = await add('hostile');
    await (await take(job)).end('complete', { progress: 'a\u001b[31mb' });
    expect(await said('status', job)).toContain('a\\u{1b}[31mb');
  });

  it('schedule jobs', async () => {
    const when = ['--pattern', '0 3 * * *', '--tz', 'Europe/Berlin'];
    const what = ['--stack', 'python-3.13', '--', 'true'];
    expect(await said('schedule', 'plan', 'nightly', ...when, ...what)).toMatch(
      /^nightly: next job at \d{4}-.*Z\n$/,
    );
    expect(await said('schedules', 'plan')).toMatch(
      /nightly +- +0 3 \* \* \* Europe\/Berlin +\S+Z +python-3.13\n$/,
    );
    expect(await json('schedules', 'plan')).toMatchObject([{ id: 'nightly', tz: 'Europe/Berlin' }]);
    expect(await queue('schedule', 'plan', 'b', ...what)).toMatchObject({ status: 2 });
    expect(await said('unschedule', 'plan', 'nightly')).toBe('nightly\n');
    expect(await queue('unschedule', 'plan', 'nightly')).toMatchObject({ status: 3 });
  });

  it('show, pause and resume a whole queue', async () => {
    await add('whole', '--tenant', 'a');
    await add('whole');
    expect(await said('pause', 'whole')).toBe('whole\n');
    expect(await said('ls', 'whole')).toMatch(
      /^TENANT +CODE .*\n- +- +1 +0 +0 +0 +0 +\d+s +paused\na +- +1 +0 +0 +0 +0 +\d+s +paused\n$/,
    );
    expect(await said('ls', '--tenant', 'a')).toMatch(/^QUEUE +TENANT .*\n(.*\n)*whole +a +- +1 /);
    expect(await said('resume', 'whole')).toBe('whole\n');
    expect(await json('ls', 'whole', '--tenant', 'a')).toMatchObject([
      { tenant: 'a', isPaused: false },
    ]);
  });
});
