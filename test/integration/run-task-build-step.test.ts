/** Build steps by the library: events, deadlines, cancellation, data from a queue, prepared code that changes meanwhile. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  openStackshim,
  type RunTaskOptions,
  runTask,
  type TaskEvent,
  type TaskInput,
} from '../../src/index.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { writePolicy } from '../support/installation/write-policy.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const installation = useInstallation();
const { layout } = installation;

const GONE = { removed: true, leftovers: [] };
let code = '';
let count = 0;

beforeEach(() => {
  count += 1;
  code = `${layout.root}/../code-${count}`;
  mkdirSync(code);
  writeFileSync(`${code}/main`, `${count}`);
  writePolicy(layout, {});
});

const task = (build: TaskInput['build'], more: Partial<TaskInput> = {}): TaskInput => ({
  stack: 'busybox',
  command: ['cat', 'made'],
  code,
  build,
  ...more,
});
const run = (input: TaskInput, options: RunTaskOptions = {}) =>
  runTask(input, { ...installation.options, ...options });

const typesOf = async (input: TaskInput) => {
  const events: TaskEvent[] = [];
  const result = await run(input, { onEvent: (event) => events.push(event) });
  return { result, types: events.map(({ type }) => type).filter((type) => type !== 'output') };
};

describe('the events of a build step', () => {
  const after = ['created', 'started', 'exited', 'removed', 'finished'];

  it('come before the container exists', async () => {
    const input = task(['sh', '-c', 'echo one > made']);
    const first = await typesOf(input);
    expect(first.types).toEqual(['accepted', 'building', 'built', ...after]);
    expect(first.result).toMatchObject({ ...GONE, output: { stdout: 'one\n' } });
    expect(first.result.phasesMs.build).toBeGreaterThan(0);
    expect((await typesOf(input)).types).toEqual(['accepted', 'built', ...after]);
  });

  it('end with a failure', async () => {
    const { result, types } = await typesOf(task('exit 4'));
    expect(types).toEqual(['accepted', 'building', 'removed', 'finished']);
    expect(result).toMatchObject({ ...GONE, verdict: 'build_failed', build: { exitCode: 4 } });
  });

  it('are absent without one, and so is its report', async () => {
    const { result, types } = await typesOf({ stack: 'busybox', command: ['true'] });
    expect(types).toEqual(['accepted', ...after]);
    expect('build' in result || 'build' in result.phasesMs).toBe(false);
  });
});

describe('a task that is ended during its build step', () => {
  it('by its caller is cancelled', async () => {
    const stop = new AbortController();
    const result = await run(task('sleep 1000'), {
      signal: stop.signal,
      onEvent: (event) => {
        if (event.type === 'building') stop.abort();
      },
    });
    expect(result).toMatchObject({ ...GONE, verdict: 'cancelled', error: null, retryable: false });
  });

  it('by its deadline has timed out', async () => {
    const result = await run(task('sleep 1000'), { deadline: Date.now() + 1000 });
    expect(result).toMatchObject({ ...GONE, verdict: 'timed_out', error: null });
  });

  it('leaves no outcome: the next one builds', async () => {
    // Its time limit is not part of the key.
    const build = 'if test "$TASK_TIMEOUT" = 77; then sleep 1000; fi; echo x > made';
    const input = task(build, { buildTimeout: '77s' });
    const ended = await run(input, { deadline: Date.now() + 1000 });
    expect(ended.verdict).toBe('timed_out');
    const again = await run(task(build, { buildTimeout: '78s' }));
    expect(again).toMatchObject({ ...GONE, build: { cached: false }, output: { stdout: 'x\n' } });
  });
});

it('a build step that somebody kills has failed, and its log stays', async () => {
  let killed: Promise<unknown> | undefined;
  const result = await run(task('echo begun; sleep 1000'), {
    onEvent(event) {
      if (event.type !== 'building') return;
      const isRunning = () => existsSync(`${layout.run}/tasks/${event.build}/limit`);
      const kill = () => openStackshim(installation.options).kill(event.build);
      killed = waitUntil(isRunning).then(kill);
    },
  });
  await killed;
  expect(result).toMatchObject({
    ...{ ...GONE, verdict: 'build_failed', retryable: false },
    build: { cached: false, verdict: 'cancelled' },
  });
  expect(existsSync(result.build?.log ?? '')).toBe(true);
});

describe('data from a queue', () => {
  const data = { stack: 'busybox', command: ['cat', '/task/made'], build: 'echo job > made' };

  it('has a build step only if the policy allows it', async () => {
    await expect(run(data, { origin: 'job' })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_DENIED',
      details: { field: 'build' },
    });
    writePolicy(layout, { builds: { jobs: true } });
    const result = await run(data, { origin: 'job' });
    expect(result).toMatchObject({ ...GONE, output: { stdout: 'job\n' } });
  });
});

it('a missing program of a list fails as a build, not as a task', async () => {
  const result = await run(task(['/no/such/program']));
  expect(result).toMatchObject({
    ...{ ...GONE, verdict: 'build_failed', retryable: false },
    build: { verdict: 'setup_failed', exitCode: null },
  });
});

it('many tasks of several contents share their builds', { timeout: 120_000 }, async () => {
  const builds = ['a', 'b', 'c'].map((name) => `echo ${name} > made`);
  const inputs = Array.from({ length: 30 }, (_, index) => task(builds[index % 3] ?? ''));
  const results = await Promise.all(inputs.map((input) => run(input)));
  expect(results.map(({ output }) => output.stdout)).toEqual(
    inputs.map((_, index) => `${'abc'[index % 3]}\n`),
  );
  expect(results.filter(({ build }) => build?.cached === false)).toHaveLength(3);
  expect(results.every(({ removed }) => removed)).toBe(true);
});
