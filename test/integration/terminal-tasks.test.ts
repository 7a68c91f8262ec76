/** Tasks with a terminal in this process: what the library does without a terminal of its own. */
import { createHash } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { type RunTaskOptions, runTask } from '../../src/index.ts';
import type { WindowSize } from '../../src/sys/system.ts';
import type { TaskEvent } from '../../src/task/events.ts';
import type { TaskResult } from '../../src/task/result.ts';
import { useInstallation } from '../support/installation/installation.ts';

const installation = useInstallation();

/** Runs a script on a terminal. */
const runScript = (script: string, options: RunTaskOptions = {}) =>
  runTask(
    {
      stack: 'busybox',
      command: ['sh', '-c', script],
      tty: true,
      interactive: options.stdin !== undefined,
    },
    { ...installation.options, ...options },
  );

describe('a task with a terminal', () => {
  it('has the default size if there is no terminal to follow', async () => {
    const result = await runScript('stty size; tty; test -t 0 -a -t 1 -a -t 2; exit $((3 + $?))');
    expect(result).toMatchObject({
      verdict: 'failed',
      exitCode: 3,
      error: null,
      removed: true,
      output: { stdout: '24 80\r\n/dev/pts/0\r\n', stderr: '' },
    });
  });

  it('follows the size of the terminal that it is given', async () => {
    let resize: (size: WindowSize) => void = () => undefined;
    const terminal = {
      size: { rows: 30, columns: 100 },
      onResize(listener: (size: WindowSize) => void) {
        resize = listener;
        return () => {
          resize = () => expect.fail('the task has ended');
        };
      },
    };
    const script =
      'trap "stty size; exit 0" WINCH; stty size; echo ready; while :; do read -t 1 _; done';
    const result = await runScript(script, {
      terminal,
      onEvent(event: TaskEvent) {
        if (event.type === 'output' && Buffer.from(event.chunk).includes('ready')) {
          resize({ rows: 41, columns: 123 });
        }
      },
    });
    expect(result).toMatchObject({
      verdict: 'succeeded',
      output: { stdout: '30 100\r\nready\r\n41 123\r\n' },
    });
    expect(() => resize({ rows: 1, columns: 1 })).toThrow('the task has ended');
  });

  it.each([
    ['whole lines', ['one\n', 'two\n'], 'one\r\ntwo\r\n'],
    ['a line without an end', ['one\n', 'two'], 'one\r\ntwo'],
    ['nothing', [], ''],
  ])('reads %s up to the end of its input', async (_, lines, read) => {
    const result = await runScript('stty -echo; echo ready; cat; echo end', {
      stdin: Readable.from(lines),
    });
    expect(result.verdict).toBe('succeeded');
    // Input typed before echo was turned off is echoed by the terminal.
    expect(result.output.stdout).toContain(`ready\r\n${read}end\r\n`);
  });

  it('delivers much output in order and complete', async () => {
    const script = 'stty raw; i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done';
    const { verdict, output } = await runScript(script);
    expect(verdict).toBe('succeeded');
    expect(output.stdout).toBe(
      Array.from({ length: 20_000 }, (__, index) => `${index}\n`).join(''),
    );
  });

  it('accepts more input than the terminal can hold', async () => {
    const text = 'x'.repeat(300_000);
    const stdin = new PassThrough();
    const result = await runScript(`stty raw -echo; echo ready; head -c ${text.length} | md5sum`, {
      stdin,
      // A terminal that is not raw yet would truncate such a long line.
      onEvent: ({ type }) => type === 'output' && stdin.write(text),
    });
    const md5 = createHash('md5').update(text).digest('hex');
    expect(result).toMatchObject({
      verdict: 'succeeded',
      output: { stdout: `ready\n${md5}  -\n` },
    });
  });

  it('does not hold up other tasks of its process, however many wait for input', async () => {
    const cancel = new AbortController();
    const waiting: Promise<TaskResult>[] = [];
    const allStarted = Array.from({ length: 6 }, () => {
      return new Promise<void>((resolve) => {
        const onEvent = ({ type }: TaskEvent) => type === 'output' && resolve();
        waiting.push(runScript('echo; read line', { onEvent, signal: cancel.signal }));
      });
    });
    await Promise.all(allStarted);
    const result = await runScript('echo done');
    expect(result).toMatchObject({ verdict: 'succeeded', removed: true });
    cancel.abort();
    const verdicts = (await Promise.all(waiting)).map(({ verdict }) => verdict);
    expect(verdicts).toEqual(Array.from({ length: 6 }, () => 'cancelled'));
  });

  it('is cancelled like other tasks', async () => {
    const cancel = new AbortController();
    const result = await runScript('echo ready; sleep 1000', {
      signal: cancel.signal,
      onEvent: ({ type }) => type === 'output' && cancel.abort(),
    });
    expect(result).toMatchObject({ verdict: 'cancelled', removed: true, leftovers: [] });
  });
});
