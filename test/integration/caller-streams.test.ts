/** Streams of a caller that fail: the task continues, lost data is reported, and the program survives. */
import { once } from 'node:events';
import { PassThrough, Readable, Writable } from 'node:stream';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type OutputSink,
  type RunTaskOptions,
  runTask,
  type TaskEvent,
  type TaskInput,
} from '../../src/index.ts';
import { useInstallation } from '../support/installation/installation.ts';

const { options } = useInstallation();

const run = (script: string, more: RunTaskOptions = {}, input: Partial<TaskInput> = {}) =>
  runTask(
    {
      stack: 'busybox',
      command: ['sh', '-c', script],
      interactive: more.stdin !== undefined,
      ...input,
    },
    { ...options, ...more },
  );

/** Errors that would end a program without listeners. */
const uncaught = vi.fn();
const warned = vi.fn();
let others: NodeJS.UncaughtExceptionListener[] = [];
let otherRejections: NodeJS.UnhandledRejectionListener[] = [];

beforeEach(() => {
  others = process.listeners('uncaughtException');
  otherRejections = process.listeners('unhandledRejection');
  process.removeAllListeners('uncaughtException');
  process.removeAllListeners('unhandledRejection');
  process.on('uncaughtException', uncaught);
  process.on('unhandledRejection', uncaught);
  process.on('warning', warned);
});
afterEach(async () => {
  // Waits for errors that are about to be thrown or rejected.
  await new Promise((resolve) => setTimeout(resolve, 10));
  process.off('warning', warned);
  process.removeAllListeners('uncaughtException');
  process.removeAllListeners('unhandledRejection');
  for (const listener of others) process.on('uncaughtException', listener);
  for (const listener of otherRejections) process.on('unhandledRejection', listener);
  const thrown = [...uncaught.mock.calls];
  uncaught.mockClear();
  warned.mockClear();
  expect(thrown).toEqual([]);
});

const broken = () => new Error('broken');
const throws = () => {
  throw broken();
};
const rejectsElsewhere = (): Promise<void> =>
  runInNewContext('Promise.reject(new Error("broken"))');
const SCRIPT = 'echo one; sleep 0.1; echo two; exit 6';
const LOST = {
  verdict: 'failed',
  exitCode: 6,
  removed: true,
  output: { stdoutBytes: 8, lostBytes: 8, truncated: true, stdout: 'one\ntwo\n' },
};

describe('an output', () => {
  it.each<[string, () => Writable | OutputSink]>([
    ['is an object that throws', () => ({ write: throws })],
    ['is an object that rejects', () => ({ write: () => Promise.reject(broken()) })],
    ['is an object that rejects, from another realm', () => ({ write: rejectsElsewhere })],
    ['is a stream that fails at once', () => new Writable({ write: (_, __, no) => no(broken()) })],
    [
      'is a stream that fails later',
      () => new Writable({ write: (_, __, no) => void setTimeout(no, 20, broken()) }),
    ],
    ['is a stream whose implementation throws', () => new Writable({ write: throws })],
    [
      'is a stream that fails and is not destroyed',
      () => new Writable({ autoDestroy: false, write: (_, __, no) => no(broken()) }),
    ],
  ])('%s loses what it did not take, and says why', async (_, make) => {
    const result = await run(SCRIPT, { stdout: make(), capture: true });
    expect(result).toMatchObject({ ...LOST, error: { cause: expect.stringContaining('broken') } });
    expect(result.error?.code).toBe('ERR_STACKSHIM_SYSTEM');
  });

  it.each<[string, () => Writable]>([
    ['was destroyed', () => new PassThrough().destroy()],
    ['was ended', () => new PassThrough().end()],
  ])('%s before loses all', async (_, make) => {
    const result = await run(SCRIPT, { stdout: make(), capture: true });
    expect(result).toMatchObject({ ...LOST, error: null });
  });

  it.each<[string, (sink: Writable) => void, string | null]>([
    ['is destroyed', (sink) => sink.destroy(), null],
    ['is destroyed for an error', (sink) => sink.destroy(broken()), 'broken'],
  ])('%s while the task waits for it holds up nothing', async (_, end, cause) => {
    const sink = new Writable({ highWaterMark: 1, write: () => undefined });
    const onEvent = ({ type }: TaskEvent) => {
      if (type === 'output') setTimeout(() => end(sink), 20);
    };
    const more = { stdout: sink, capture: true, onEvent };
    const result = await run('echo one; sleep 0.1; echo two; exit 6', more, { timeout: '30s' });
    expect(result).toMatchObject({ verdict: 'failed', exitCode: 6, removed: true });
    expect(result.output).toMatchObject({ stdout: 'one\ntwo\n', truncated: true });
    expect(result.error?.cause ?? null).toBe(cause);
  });

  it.each<[string, object]>([
    ['only looks like a stream', { destroyed: false }],
    ['has listeners that cannot be removed', { destroyed: false, on: () => undefined }],
  ])('that is %s is written to like any other', async (_, looks) => {
    const written: string[] = [];
    const write = (chunk: Uint8Array) => void written.push(Buffer.from(chunk).toString());
    const result = await run('echo one', { stdout: { ...looks, write } });
    expect(result).toMatchObject({ verdict: 'succeeded', error: null, removed: true });
    expect(written.join('')).toBe('one\n');
  });

  it.each([null, 'text', 5])('that is %j is refused', async (stdout) => {
    const more = { stdout } as unknown as RunTaskOptions;
    await expect(run('echo one', more)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_INVALID',
      details: { field: 'stdout' },
    });
  });

  it('that fails after the task has ended becomes a warning', async () => {
    let fail: (error: Error) => void = () => undefined;
    const sink = new Writable({
      write: (_, __, done) => {
        fail = done;
      },
    });
    const { verdict, error } = await run('echo one', { stdout: sink });
    expect({ verdict, error }).toEqual({ verdict: 'succeeded', error: null });
    fail(broken());
    await expect.poll(() => warned.mock.calls.flat().map(String)).toEqual(['Error: broken']);
    expect(sink.listenerCount('error')).toBe(0);
  });

  it('that many tasks share has one listener, and none after they have ended', async () => {
    let isOpen = false;
    const held: (() => void)[] = [];
    const sink = new Writable({
      highWaterMark: 1,
      write: (_, __, done) => void (isOpen ? done() : held.push(done)),
    });
    const running = Array.from({ length: 15 }, () => run('echo one', { stdout: sink }));
    await expect.poll(() => sink.writableLength).toBe(15 * 4);
    expect(sink.listenerCount('error')).toBe(1);
    isOpen = true;
    for (const done of held) done();
    const results = await Promise.all(running);
    expect(results.map(({ output }) => output.lostBytes)).toEqual(results.map(() => 0));
    expect(sink.listenerCount('error') + sink.listenerCount('drain')).toBe(0);
    expect(warned.mock.calls).toEqual([]);
  });

  it('that is not a stream is refused', async () => {
    const stdout = {} as OutputSink;
    await expect(run('true', { stdout })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_INVALID',
      details: { field: 'stdout' },
    });
  });
});

describe('an input', () => {
  it.each<[string, () => Readable, string]>([
    ['text in object mode', () => Readable.from(['a\n', 'é\n']), 'a\né\n'],
    ['bytes', () => Readable.from([Buffer.from('a'), new Uint8Array([98])]), 'ab'],
    ['typed arrays', () => Readable.from([new Uint16Array([0x6261])]), 'ab'],
    ['decoded text', () => Readable.from(Buffer.from('é')).setEncoding('utf8'), 'é'],
    ['one large chunk', () => Readable.from(['x'.repeat(900_000)]), 'x'.repeat(900_000)],
    ['nothing', () => Readable.from([]), ''],
  ])('gives %s is read', async (_, make, text) => {
    const result = await run('cat', { stdin: make() });
    expect(result).toMatchObject({ verdict: 'succeeded', error: null, removed: true });
    expect(result.output.stdout).toBe(text);
  });

  it.each<[string, () => Readable, string]>([
    ['yields an object', () => Readable.from(['a', { b: 1 }, 'c']), 'of type object'],
    ['yields a number', () => Readable.from(['a', 7, 'c']), 'of type number'],
    ['gives null', () => Readable.from(['a', null, 'c']), 'May not write null'],
    ['fails', () => failsAfter('a'), 'broken'],
  ])('%s ends there, and the result says why', async (_, make, cause) => {
    const result = await run('cat; exit 8', { stdin: make() });
    expect(result).toMatchObject({ verdict: 'failed', exitCode: 8, output: { stdout: 'a' } });
    expect(result.error).toMatchObject({ code: 'ERR_STACKSHIM_SYSTEM' });
    expect(result.error?.cause).toContain(cause);
  });

  it('that throws when it is read is reported in the result', async () => {
    const result = await run('cat; exit 8', { stdin: new Readable({ read: throws }) });
    expect(result).toMatchObject({ verdict: 'failed', exitCode: 8, error: { cause: 'broken' } });
  });

  it('that fails before the task reads it is reported in the result', async () => {
    const stdin = new PassThrough();
    const onEvent = ({ type }: TaskEvent) => type === 'accepted' && stdin.destroy(broken());
    const result = await run('cat; exit 8', { stdin, onEvent });
    expect(result).toMatchObject({ exitCode: 8, error: { cause: 'broken' } });
  });

  it('that fails before there is a task is refused', async () => {
    const stdin = new PassThrough();
    const running = run('cat', { stdin });
    stdin.destroy(broken());
    await expect(running).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_INVALID',
      message: 'stdin: the stream has failed: broken',
    });
  });

  it.each<[string, () => Promise<Readable>]>([
    ['was destroyed', async () => new PassThrough().destroy()],
    ['has failed', async () => await failed()],
    ['was already read to its end', async () => await readToEnd()],
    ['is not a stream', async () => ({}) as Readable],
  ])('%s is refused', async (_, make) => {
    await expect(run('cat', { stdin: await make() })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_INVALID',
      details: { field: 'stdin' },
    });
  });

  it.each([
    ['a pipe', false],
    ['a terminal', true],
  ])('that does not end serves one task after another, on %s', async (_, tty) => {
    const stdin = new PassThrough();
    const counts = () => stdin.eventNames().map((name) => [name, stdin.listenerCount(name)]);
    const before = counts();
    for (let i = 0; i < 50; i += 1) {
      const line = `line ${i}\n`;
      const onEvent = ({ type }: TaskEvent) => type === 'started' && stdin.write(line);
      const result = await run('read -r line; echo "got $line"', { stdin, onEvent }, { tty });
      expect(result).toMatchObject({ verdict: 'succeeded', error: null });
      expect(result.output.stdout).toContain(`got line ${i}`);
      expect(stdin.destroyed).toBe(false);
    }
    expect(counts()).toEqual(before);
    expect(warned.mock.calls).toEqual([]);
  });

  it('with more data than the task read keeps the rest for the next task', async () => {
    const stdin = new PassThrough({ highWaterMark: 1 << 20 });
    const numbers = Array.from({ length: 100_000 }, (_, i) => String(i).padStart(7, '0'));
    const all = `${numbers.join('\n')}\n`;
    stdin.write(all);
    const first = await run('read -r line; echo "$line"', { stdin });
    expect(first.output.stdout).toBe('0000000\n');
    stdin.end();
    const { output } = await run('cat', { stdin }, { captureBytes: '4m' });
    const rest = output.stdout ?? '';
    expect(rest).not.toBe('');
    expect(all.endsWith(rest)).toBe(true);
    // Data in the pipe's buffer was given to the first task, and no more.
    expect(all.length - rest.length).toBeLessThanOrEqual(65_536);
  });

  it('that no task has read is complete', async () => {
    const stdin = Readable.from(['one\n', 'two\n'], { objectMode: false });
    expect(await run('true', { stdin }, { interactive: false })).toMatchObject({
      verdict: 'succeeded',
    });
    expect((await run('cat', { stdin })).output.stdout).toBe('one\ntwo\n');
  });
});

function failsAfter(text: string): Readable {
  let isFirst = true;
  return new Readable({
    read() {
      if (isFirst) this.push(text);
      // Waits until the task has it.
      else setTimeout(() => this.destroy(broken()), 50);
      isFirst = false;
    },
  });
}

async function failed(): Promise<Readable> {
  const stream = new PassThrough();
  const told = once(stream, 'error').catch(() => undefined);
  stream.destroy(broken());
  await told;
  return stream;
}

async function readToEnd(): Promise<Readable> {
  const stream = Readable.from(['a']);
  for await (const _ of stream) expect(_).toBe('a');
  return stream;
}
