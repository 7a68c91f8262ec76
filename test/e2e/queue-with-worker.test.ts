/** Jobs from `stackshim queue` to `stackshim worker` and back, on a real store. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli, type StartedCli, startCli } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { type RedisServer, startRedis } from '../support/stores/start-redis.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

/** Code packages stay until their revisions are collected. */
const { installation, folder } = useTaskRunner([
  /^file \S+\/lib\/(images|layers|packages|locks)\//,
]);

let redis: RedisServer;
let worker: StartedCli;
let env: Readonly<Record<string, string>>;

beforeAll(async () => {
  redis = await startRedis();
  env = { ...installation.env, STACKSHIM_STORE_URL: redis.url };
  const artefacts = join(folder, 'artefacts');
  const given = ['--concurrency', '4', '--artefacts', artefacts, '--missing', '0s'];
  worker = startCli(['worker', ...given, 'mail'], { env });
  await worker.printed('"event":"started"');
});

afterAll(async () => {
  worker?.child.kill('SIGTERM');
  const ended = await worker?.ended;
  await redis?.remove();
  expect(ended?.status).toBe(0);
});

const queue = (...args: readonly string[]) => runCli(['queue', ...args], { env });
const sh = (script: string) => ['--', 'sh', '-c', script];
const busybox = ['add', 'mail', '--stack', 'busybox'];

async function said(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await queue(...args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

const add = async (...args: readonly string[]) => (await said(...busybox, ...args)).trim();
const statusOf = async (job: string) => JSON.parse(await said('status', '--json', job))[0];
const ended = (job: string, state: string) =>
  waitUntil(async () => {
    const status = await statusOf(job);
    const { result } = status;
    if (result !== null && status.state !== state) throw new Error(JSON.stringify(status));
    return result === null ? undefined : status;
  });

describe('queue add --wait', () => {
  it('gives the task its inputs, prints its output, and ends with its status', async () => {
    const script = 'cat "$PAYLOAD_FILE" "$CONFIG_FILE"; echo "$A" >&2; exit 7';
    const config = join(folder, 'config');
    writeFileSync(config, 'c\n');
    const end = await runCli(
      [
        'queue',
        ...busybox,
        '--wait',
        '-e',
        'A=b',
        '--payload',
        '-',
        '--config-file',
        config,
        ...sh(script),
      ],
      { env, input: Buffer.from([0xff, 0, 10]) },
    );
    expect(end).toMatchObject({ status: 7, stderr: 'b\n' });
    expect(end.stdoutBytes).toEqual(Buffer.from([0xff, 0, 10, 0x63, 10]));
  });

  it.each([
    [0, [], 'true'],
    [124, ['--timeout', '200ms', '--stop-timeout', '0'], 'sleep 60'],
    [137, ['--output-limit', '1k'], 'yes'],
    [127, ['--entrypoint', ''], undefined],
  ])('ends with status %i', async (status, options, script) => {
    const command = script === undefined ? ['--', 'nosuch'] : sh(script);
    const end = await queue(...busybox, '--wait', ...options, ...command);
    expect(end.status).toBe(status);
  });
});

describe('a job', () => {
  it('is cancelled while it runs', async () => {
    const job = await add('--stop-timeout', '0', ...sh('echo begun; sleep 60'));
    const logs = startCli(['queue', 'logs', '-f', job], { env });
    await logs.printed('begun');
    expect(await statusOf(job)).toMatchObject({ state: 'running', live: { attempt: 1 } });
    await said('cancel', job);
    expect(await ended(job, 'cancelled')).toMatchObject({
      result: { task: { verdict: 'cancelled' } },
    });
    expect(await logs.ended).toMatchObject({ status: 0, stdout: 'begun\n' });
  });

  it('is cancelled while it is delayed, and ended by the worker at once', async () => {
    const job = await add('--delay', '1h', ...sh('true'));
    await said('cancel', job);
    expect(await ended(job, 'cancelled')).toMatchObject({ result: { task: null } });
  });

  it('is tried again as it asks, with every attempt told, and once more by retry', async () => {
    const job = await add('--retries', '2', '--label', 'a=b', ...sh('echo "try"; exit 5'));
    const failed = await ended(job, 'error');
    expect(failed).toMatchObject({
      labels: { a: 'b' },
      attempts: [{ attempt: 1, task: { exitCode: 5 } }, { attempt: 2 }],
      result: { attempt: 3 },
    });
    expect(await said('logs', job)).toBe('try\ntry\ntry\n');
    await said('retry', job);
    await waitUntil(async () => (await statusOf(job)).attempts.length > 2);
    expect(await ended(job, 'error')).toMatchObject({ result: { task: { exitCode: 5 } } });
  });

  it('leaves artefacts, which are copied and removed with it', async () => {
    const job = await add('--output', 'out-*', ...sh('cd /; echo one > /out-1; echo two > /out-2'));
    // Relative sources begin in the working directory.
    await ended(job, 'complete');
    const to = join(folder, 'taken');
    const kept = ['--artefacts', join(folder, 'artefacts')];
    expect((await said('outputs', job, to, ...kept)).split('\n').filter(Boolean).sort()).toEqual([
      'out-1',
      'out-2',
    ]);
    expect(readFileSync(join(to, 'out-2'), 'utf8')).toBe('two\n');
    await said('rm', job, ...kept);
    expect(await queue('outputs', job, to, ...kept)).toMatchObject({ status: 3 });
  });

  it('of a schedule runs by the clock until the schedule is removed', async () => {
    await said('schedule', 'mail', 'tick', '--every', '1s', '--stack', 'busybox', ...sh('true'));
    await waitUntil(async () => JSON.parse(await said('ls', '--json', 'mail'))[0].complete >= 2);
    await said('unschedule', 'mail', 'tick');
    expect(JSON.parse(await said('schedules', '--json', 'mail'))).toEqual([]);
  });
});

describe('a code package', () => {
  const code = join(folder, 'code');
  const store = async (text: string, ...more: readonly string[]) => {
    mkdirSync(code, { recursive: true });
    writeFileSync(join(code, 'main.sh'), `echo ${text}\n`);
    const args = ['code', 'add', 'mailer', code, '--stack', 'busybox', ...more];
    expect(await runCli([...args, '--', 'sh', 'main.sh'], { env })).toMatchObject({ status: 0 });
  };

  it('runs as it was when the job was queued', async () => {
    await store('old');
    await said('pause', 'mail');
    const job = (await said('add', 'mail', '--code', 'mailer')).trim();
    const later = (
      await said('add', 'mail', '--stack', 'busybox', '--code', 'mailer', '--unbound')
    ).trim();
    await store('new');
    await said('resume', 'mail');
    expect(await ended(job, 'complete')).toMatchObject({
      code: expect.stringMatching(/^mailer@sha256:[0-9a-f]{64}$/),
      stack: expect.stringMatching(/^busybox@sha256:[0-9a-f]{64}$/),
    });
    expect(await said('logs', job)).toBe('old\n');
    await ended(later, 'complete');
    expect(await said('logs', later)).toBe('new\n');
  });

  it('with a cap has a lane of its own', async () => {
    await store('capped', '--max-concurrency', '1');
    const job = (await said('add', 'mail', '--code', 'mailer')).trim();
    expect(job).toMatch(/^mail~~mailer~/);
    await ended(job, 'complete');
  });

  it('of another tenant is not found, and one that was removed ends the job as error', async () => {
    await store('gone');
    expect(await queue('add', 'mail', '--tenant', 'acme', '--code', 'mailer')).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('ERR_STACKSHIM_PACKAGE_NOT_FOUND'),
    });
    const foreign = (
      await said('add', 'mail', '--tenant', 'acme', '--code', 'mailer', '--unbound')
    ).trim();
    expect(await ended(foreign, 'error')).toMatchObject({ result: { error: expect.anything() } });
    await said('pause', 'mail');
    const job = (await said('add', 'mail', '--code', 'mailer')).trim();
    expect(await runCli(['code', 'rm', 'mailer'], { env })).toMatchObject({ status: 0 });
    await said('resume', 'mail');
    expect(await ended(job, 'error')).toMatchObject({
      result: { error: { code: 'ERR_STACKSHIM_PACKAGE_NOT_FOUND' }, task: null },
    });
  });
});
