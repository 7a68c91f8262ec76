import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import {
  type RunTaskOptions,
  runTask,
  StackshimError,
  type TaskEvent,
  type TaskInput,
} from '../../src/index.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { writePolicy } from '../support/installation/write-policy.ts';
import { watchOutput } from './support/watch-output.ts';

const installation = useInstallation();

const GONE = { removed: true, leftovers: [] };
const task = (script: string, more: Partial<TaskInput> = {}): TaskInput => ({
  stack: 'busybox',
  command: ['sh', '-c', script],
  ...more,
});
const run = (input: TaskInput, options: RunTaskOptions = {}) =>
  runTask(input, { ...installation.options, ...options });

describe('stopping a task', () => {
  const HANDLES_TERM = 'trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.02; done';
  const STAYS = 'trap "echo no" TERM; echo ready; while :; do sleep 0.02; done';

  it('before its start rejects, and makes nothing', async () => {
    for (const options of [{ signal: AbortSignal.abort() }, { killSignal: AbortSignal.abort() }]) {
      await expect(run(task('true'), options)).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_TASK_ABORTED',
        kind: 'aborted',
      });
    }
    expect(existsSync(join(installation.layout.run, 'tasks'))).toBe(false);
  });

  it('during its set-up cancels it', async () => {
    for (const type of ['accepted', 'created'] as const) {
      const controller = new AbortController();
      const onEvent = (event: TaskEvent) => {
        if (event.type === type) controller.abort();
      };
      const result = await run(task('echo ran'), { signal: controller.signal, onEvent });
      expect(result).toMatchObject({ ...GONE, verdict: 'cancelled', exitCode: null, error: null });
      expect(result.output.stdout).toBe('');
    }
  });

  it('while it runs cancels it with TERM', async () => {
    const controller = new AbortController();
    const { onEvent, written } = watchOutput('ready');
    const input = task(HANDLES_TERM, { stopTimeout: '1h' });
    const running = run(input, { signal: controller.signal, onEvent });
    await written;
    controller.abort();
    expect(await running).toMatchObject({
      ...GONE,
      verdict: 'cancelled',
      exitCode: 3,
      output: { stdout: 'ready\nbye\n' },
    });
  });

  it('with killSignal kills it at once, even after signal', async () => {
    const [signal, killSignal] = [new AbortController(), new AbortController()];
    const ready = watchOutput('no');
    const input = task(STAYS, { stopTimeout: '1h' });
    const options = { signal: signal.signal, killSignal: killSignal.signal };
    const began = watchOutput('ready');
    const onEvent = (event: TaskEvent) => {
      began.onEvent(event);
      ready.onEvent(event);
    };
    const running = run(input, { ...options, onEvent });
    await began.written;
    signal.abort();
    await ready.written;
    killSignal.abort();
    expect(await running).toMatchObject({ ...GONE, verdict: 'cancelled', signal: 'SIGKILL' });
  });

  it('with a signal that many tasks share causes no warning', async () => {
    const warned = vi.fn();
    process.on('warning', warned);
    const controller = new AbortController();
    const tasks = Array.from({ length: 15 }, () => {
      const { onEvent, written } = watchOutput('ready');
      const result = run(task('echo ready; exec sleep 3600'), {
        signal: controller.signal,
        onEvent,
      });
      return { result, written };
    });
    await Promise.all(tasks.map(({ written }) => written));
    controller.abort();
    const results = await Promise.all(tasks.map(({ result }) => result));
    expect(results.every(({ verdict, removed }) => verdict === 'cancelled' && removed)).toBe(true);
    process.off('warning', warned);
    expect(warned).not.toHaveBeenCalled();
  });

  it('at its deadline is a timeout, even if the deadline has already passed', async () => {
    const soon = await run(task('exec sleep 3600'), { deadline: Date.now() + 400 });
    expect(soon).toMatchObject({ ...GONE, verdict: 'timed_out' });
    const past = await run(task('echo ran'), { deadline: Date.now() - 1 });
    expect(past).toMatchObject({ ...GONE, verdict: 'timed_out', exitCode: null });
    expect(past.output.stdout).toBe('');
    const far = await run(task('exit 2'), { deadline: Date.now() + 1e13 });
    expect(far).toMatchObject({ ...GONE, verdict: 'failed', exitCode: 2 });
  });

  it('at a deadline that is not a time is refused', async () => {
    await expect(run(task('true'), { deadline: Number.NaN })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_INVALID',
      details: { field: 'deadline' },
    });
  });

  it('starts with the signal that the abort names, if the command handles it', async () => {
    const cases = [
      ['SIGINT', 'INT'],
      // A shell handles INT itself.
      ['SIGINT', 'TERM; trap "" INT'],
      ['SIGQUIT', 'QUIT'],
    ] as const;
    for (const [reason, handled] of cases) {
      const controller = new AbortController();
      const { onEvent, written } = watchOutput('ready');
      const script = `trap "echo bye; exit 3" ${handled}; echo ready; sleep 600 & wait`;
      const input = task(script, { stopTimeout: '1h' });
      const running = run(input, { signal: controller.signal, onEvent });
      await written;
      controller.abort(reason);
      const ended = { verdict: 'cancelled', exitCode: 3, output: { stdout: 'ready\nbye\n' } };
      expect(await running).toMatchObject({ ...GONE, ...ended });
    }
  });

  it('after its end has no effect', async () => {
    const controller = new AbortController();
    const onEvent = (event: TaskEvent) => {
      if (event.type === 'exited') controller.abort();
    };
    const result = await run(task('exit 4'), { signal: controller.signal, onEvent });
    expect(result).toMatchObject({ ...GONE, verdict: 'failed', exitCode: 4 });
  });
});

describe('events', () => {
  it('come in the documented order, with the output byte for byte', async () => {
    const events: TaskEvent[] = [];
    const result = await run(task('echo out; echo err >&2; exit 3'), {
      onEvent: (event) => events.push(event),
    });
    const others = events.map(({ type }) => type).filter((type) => type !== 'output');
    expect(others).toEqual(['accepted', 'created', 'started', 'exited', 'removed', 'finished']);
    const types = events.map(({ type }) => type);
    expect(types.indexOf('output')).toBeGreaterThan(types.indexOf('started'));
    expect(types.lastIndexOf('output')).toBeLessThan(types.indexOf('exited'));
    const textOf = (name: string) =>
      events
        .map((event) => (event.type === 'output' && event.stream === name ? event.chunk : ''))
        .map((chunk) => Buffer.from(chunk).toString())
        .join('');
    expect([textOf('stdout'), textOf('stderr')]).toEqual(['out\n', 'err\n']);
    expect(events.at(-1)).toEqual({ type: 'finished', id: result.id, result });
  });

  it('report the start only when no mount of the task is left on the host', async () => {
    const left: Partial<Record<TaskEvent['type'], boolean>>[] = [];
    const runOne = () => {
      const seen: Partial<Record<TaskEvent['type'], boolean>> = {};
      left.push(seen);
      return run(task('true'), {
        onEvent({ id, type }) {
          const mounts = readFileSync('/proc/self/mounts', 'utf8');
          seen[type] = mounts.includes(`/${id}/`) || mounts.includes(`/${id} `);
        },
      });
    };
    const results = await Promise.all(Array.from({ length: 5 }, runOne));
    expect(results.every(({ verdict }) => verdict === 'succeeded')).toBe(true);
    for (const seen of left) expect(seen).toMatchObject({ created: true, started: false });
  });

  it('with an asynchronous removal report the result first, then the removal', async () => {
    const types: string[] = [];
    let removed: (event: TaskEvent) => void = () => undefined;
    const removal = new Promise<TaskEvent>((resolve) => {
      removed = resolve;
    });
    const result = await run(task('exit 3', { remove: 'async' }), {
      onEvent(event) {
        types.push(event.type);
        if (event.type === 'removed') removed(event);
      },
    });
    expect(result).toMatchObject({ verdict: 'failed', removed: false });
    expect(await removal).toMatchObject(GONE);
    expect(types.slice(-2)).toEqual(['finished', 'removed']);
  });

  it('cannot break a task: an error of a listener becomes a warning', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const result = await run(task('echo out'), {
      onEvent: ({ type }) => {
        throw new Error(`listener at ${type}`);
      },
    });
    expect(result).toMatchObject({ ...GONE, verdict: 'succeeded', output: { stdout: 'out\n' } });
    await expect
      .poll(() => warnings.map(({ message }) => message))
      .toContain('listener at finished');
    process.off('warning', onWarning);
  });
});

describe('streams', () => {
  it('deliver everything to a slow sink, even after the task has ended', async () => {
    let bytes = 0;
    let isFirst = true;
    const sink = new Writable({
      highWaterMark: 1,
      write(chunk: Buffer, _, done) {
        bytes += chunk.length;
        // Longer than any time after which a stream is abandoned.
        setTimeout(done, isFirst ? 2500 : 1);
        isFirst = false;
      },
    });
    const result = await run(task('head -c 150000 /dev/zero'), { stdout: sink });
    expect(result).toMatchObject({ ...GONE, verdict: 'succeeded' });
    expect(result.output).toEqual({
      stdoutBytes: 150_000,
      stderrBytes: 0,
      lostBytes: 0,
      truncated: false,
    });
    expect(bytes).toBe(150_000);
    expect(sink.writableEnded).toBe(false);
  });

  it('can be abandoned after the task has ended if a sink hangs', async () => {
    const controller = new AbortController();
    const sink = new Writable({ highWaterMark: 1, write: () => undefined });
    let pid = 0;
    const running = run(task('echo x; sleep 0.2; echo y; exit 5'), {
      stdout: sink,
      signal: controller.signal,
      onEvent(event) {
        if (event.type === 'created') ({ pid } = event);
      },
    });
    await expect.poll(() => pid > 0 && !existsSync(`/proc/${pid}`)).toBe(true);
    controller.abort();
    expect(await running).toMatchObject({
      ...GONE,
      verdict: 'failed',
      exitCode: 5,
      output: { truncated: true },
    });
  });

  it('report a broken sink in the result, and do not disturb the task', async () => {
    const sink = new Writable({
      highWaterMark: 1,
      write: (_, __, done) => done(new Error('broken')),
    });
    sink.on('error', () => undefined);
    const result = await run(task('echo one; sleep 0.1; echo two; exit 6'), { stdout: sink });
    expect(result).toMatchObject({ ...GONE, verdict: 'failed', exitCode: 6 });
  });

  it('are captured only on request, up to a limit', async () => {
    const sink = new Writable({ write: (_, __, done) => done() });
    const passed = await run(task('echo out'), { stdout: sink });
    expect(passed.output).toEqual({
      stdoutBytes: 4,
      stderrBytes: 0,
      lostBytes: 0,
      truncated: false,
    });
    const both = await run(task('echo out'), { stdout: sink, capture: true });
    expect(both.output.stdout).toBe('out\n');
    const bounded = await run(task('printf 0123456789; printf abcdefghij', { captureBytes: 8 }));
    expect(bounded.output).toMatchObject({
      stdoutBytes: 20,
      truncated: true,
      stdout: '0123\n[12 bytes left out]\nghij',
    });
  });

  it('give a task all input, and end with the task if the input never ends', async () => {
    const stdin = Readable.from(['one ', 'two ', 'three']);
    const read = await run(task('cat', { interactive: true }), { stdin });
    expect(read.output.stdout).toBe('one two three');
    const endless = new Readable({
      read() {
        this.push('more\n');
      },
    });
    const some = await run(task('head -n 2', { interactive: true }), { stdin: endless });
    expect(some).toMatchObject({ ...GONE, verdict: 'succeeded', error: null });
    const silent = new Readable({ read: () => undefined });
    const none = await run(task('exit 7', { interactive: true }), { stdin: silent });
    expect(none).toMatchObject({ ...GONE, verdict: 'failed', exitCode: 7, error: null });
  });

  it('report a broken source in the result', async () => {
    const stdin = new Readable({
      read() {
        this.destroy(new Error('source broke'));
      },
    });
    const result = await run(task('cat; exit 8', { interactive: true }), { stdin });
    expect(result).toMatchObject({ ...GONE, verdict: 'failed', exitCode: 8 });
    expect(result.error).toMatchObject({ code: 'ERR_STACKSHIM_SYSTEM', cause: 'source broke' });
  });
});

describe('errors', () => {
  const invalid: unknown = { stack: 'busybox', memmory: '1g' };
  it.each<readonly [string, unknown, object]>([
    ['invalid', invalid, { code: 'ERR_STACKSHIM_SPEC_INVALID', kind: 'invalid' }],
    ['no object', null, { code: 'ERR_STACKSHIM_SPEC_INVALID', kind: 'invalid' }],
    [
      'not found',
      { stack: 'nowhere' },
      { code: 'ERR_STACKSHIM_STACK_NOT_FOUND', kind: 'not_found' },
    ],
    [
      'denied',
      { stack: 'busybox', memory: '1000t' },
      { code: 'ERR_STACKSHIM_SPEC_DENIED', kind: 'denied', details: { field: 'memory' } },
    ],
    [
      'unavailable',
      { stack: 'busybox', runtime: '/nowhere/runc' },
      { code: 'ERR_STACKSHIM_RUNTIME_NOT_FOUND', kind: 'unavailable' },
    ],
  ])('are typed: %s', async (_, input, expected) => {
    writePolicy(installation.layout, { allow: { runtimes: ['runc', '/nowhere/runc'] } });
    const error = await run(input as TaskInput).catch((thrown: unknown) => thrown);
    writePolicy(installation.layout);
    expect(error).toBeInstanceOf(StackshimError);
    expect(error).toMatchObject(expected);
    const json = JSON.parse(JSON.stringify(error));
    expect(json).toMatchObject({
      ...expected,
      message: expect.any(String),
      hint: expect.any(String),
    });
  });

  it('refuse a name that a job may not choose before anything exists; a caller may choose it', async () => {
    const given = task('ls /x', { volumes: ['/usr:/x:ro'] });
    await expect(run(given, { origin: 'job' })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_DENIED',
      kind: 'denied',
      details: { field: 'volumes' },
    });
    expect(await run(given)).toMatchObject({ verdict: 'succeeded', ...GONE });
    const job = { stack: 'busybox', command: ['true'], memory: '64m' };
    expect(await run(job, { origin: 'job' })).toMatchObject({ verdict: 'succeeded', ...GONE });
  });

  it('about a conflict come with the conflicting task', async () => {
    const controller = new AbortController();
    const { onEvent, written } = watchOutput('ready');
    const options = { onEvent, signal: controller.signal };
    const first = run(task('echo ready; exec sleep 3600', { id: 'twin' }), options);
    await written;
    await expect(run(task('true', { id: 'twin' }))).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_TASK_CONFLICT',
      kind: 'conflict',
      details: { id: 'twin' },
      cause: expect.objectContaining({ code: expect.stringMatching(/^E(EXIST|NOTEMPTY)$/) }),
    });
    controller.abort();
    expect(await first).toMatchObject({ ...GONE, verdict: 'cancelled' });
  });
});
