/** `stackshim events`: what happens to tasks of any process, in order, also to tasks that live for a moment. */
import { mkdirSync, rmdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tasksDir } from '../../src/core/layout.ts';
import { runCli, type StartedCli, startCli } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { installation, run, start } = useTaskRunner();
const { env, layout } = installation;
const cli = (...args: readonly string[]) => runCli(args, { env });
const WAITING = sh('echo ready; exec sleep 1000');

let watching: StartedCli;

/** Starts it, and waits until it tells what happens. */
async function watch(...args: readonly string[]): Promise<void> {
  watching = startCli(['events', '--json', ...args], { env });
  const folder = `${tasksDir(layout)}/marker`;
  let isReady = false;
  const told = watching.printed('"marker"').then(() => {
    isReady = true;
  });
  told.catch(() => undefined);
  await waitUntil(() => {
    mkdirSync(folder, { recursive: true });
    rmdirSync(folder);
    return isReady;
  });
  await told;
}

interface Told {
  readonly type: string;
  readonly id?: string;
  readonly [field: string]: unknown;
}

/** Stops it; resolves to what it told, without the markers. */
async function stop(): Promise<readonly Told[]> {
  watching.child.kill('SIGTERM');
  const { status, stdout, stderr } = await watching.ended;
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const lines = stdout
    .trimEnd()
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line): Told => JSON.parse(line)).filter(({ id }) => id !== 'marker');
}

const typesOf = (told: readonly Told[], id: string) =>
  told.filter((event) => event.id === id).map(({ type }) => type);

describe('with all events', () => {
  beforeEach(() => watch());
  afterEach(() => void watching.child.kill('SIGKILL'));

  it('a task is told of from its record to its removal, and what others do to it', async () => {
    const task = start(['--name', 'one', '--label', 'job=7'], WAITING);
    await task.printed('ready');
    await cli('pause', 'one');
    await cli('unpause', 'one');
    await cli('update', '--timeout', '30m', 'one');
    await cli('kill', 'one');
    await task.ended;
    await watching.printed('"removed","stack":"busybox"');
    const told = await stop();
    expect(typesOf(told, 'one')).toEqual([
      ...['accepted', 'created', 'started', 'paused', 'unpaused', 'updated'],
      ...['stopping', 'exited', 'removed'],
    ]);
    for (const event of told) {
      expect(event).toMatchObject({
        at: expect.stringMatching(/^\d{4}-.*Z$/),
        stack: 'busybox',
        revision: 1,
        tenant: null,
        labels: { job: '7' },
      });
    }
    const details = (type: string) => told.find((event) => event.type === type);
    expect(details('stopping')).toMatchObject({ cause: 'cancelled' });
    expect(details('exited')).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
  });

  it('tasks that live for a moment are told of with their exits', async () => {
    const ids = ['a', 'b', 'c', 'd', 'e'];
    await Promise.all(ids.map((id, n) => run(['--name', id], sh(`exit ${n}`))));
    // The same names again.
    for (const id of ids) await run(['--name', id], ['true']);
    await run(['--name', 'last'], ['true']);
    await watching.printed('"id":"last","type":"removed"');
    const told = await stop();
    for (const [n, id] of ids.entries()) {
      const once = ['accepted', 'created', 'started', 'exited', 'removed'];
      expect(typesOf(told, id)).toEqual([...once, ...once]);
      const [first, second] = told.filter((event) => event.id === id && event.type === 'exited');
      expect([first?.['exitCode'], second?.['exitCode']]).toEqual([n, 0]);
    }
  });

  it('a kept task, one that times out, and one that runs out of memory are told of', async () => {
    await run(['--name', 'kept', '--keep'], ['false']);
    await run(['--name', 'late', '--timeout', '100ms'], ['sleep', '1000']);
    const fill = '(tail /dev/zero); sleep 1.5; true';
    await run(['--name', 'hungry', '-m', '16m'], sh(fill));
    await cli('kill', 'kept');
    await watching.printed('"id":"kept","type":"removed"');
    const told = await stop();
    expect(typesOf(told, 'kept')).toEqual([
      ...['accepted', 'created', 'started', 'exited', 'kept', 'removed'],
    ]);
    expect(told.find(({ id, type }) => id === 'late' && type === 'stopping')).toMatchObject({
      cause: 'timed_out',
    });
    expect(told.find(({ type }) => type === 'oom')).toMatchObject({ id: 'hungry', kills: 1 });
  });

  it('a task that could not be started has no start and no exit', async () => {
    await run(['--name', 'bad'], ['no-such-command']);
    await watching.printed('"id":"bad","type":"removed"');
    expect(typesOf(await stop(), 'bad')).not.toContain('exited');
  });
});

it('what happened before is not told; filters choose', async () => {
  const older = start(['--name', 'older', '--label', 'job=7'], WAITING);
  await older.printed('ready');
  await watch(
    '--filter',
    'event=removed',
    '--filter',
    'event=accepted',
    '--filter',
    'event=exited',
  );
  await run(['--name', 'other'], ['true']);
  await cli('kill', 'older');
  await older.ended;
  await watching.printed('"id":"older","type":"removed"');
  const told = await stop();
  expect(told.map(({ id, type }) => [id, type])).toEqual([
    ['other', 'accepted'],
    ['other', 'exited'],
    ['other', 'removed'],
    ['older', 'exited'],
    ['older', 'removed'],
  ]);
});

it('lines for people cannot control a terminal', async () => {
  const hostile = '\u001b]0;owned\u0007\nfake';
  watching = startCli(['events'], { env });
  let told = '';
  watching.child.stdout?.on('data', (chunk: Buffer) => {
    told += chunk.toString();
  });
  await waitUntil(async () => {
    await run(['--name', 'x', '--label', `k=${hostile}`], ['true']);
    return told.includes('task removed x');
  });
  watching.child.kill('SIGINT');
  const { status, stdout } = await watching.ended;
  expect(status).toBe(0);
  expect(stdout).not.toContain('\u001b');
  for (const line of stdout.trimEnd().split('\n')) {
    expect(line).toMatch(/^\d{4}-\S+Z task \w+ (x|marker) \(.*\)$/);
  }
  expect(stdout).toMatch(/task exited x \(stack=busybox, exitCode=0, k=/);
});

it.each([
  ['--filter', 'name=x'],
  ['--format', 'xml'],
  ['--json', '--format', 'json'],
])('is refused with %j', async (...args) => {
  const { status, stderr } = await cli('events', ...args);
  expect(status).toBe(2);
  expect(stderr).toContain('[ERR_STACKSHIM_SPEC_INVALID]');
});
