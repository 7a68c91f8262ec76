/** A task's output ends with its last process, whoever else holds its descriptors, and however slowly it is read. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { Writable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { runTask } from '../../src/door/open-stackshim.ts';
import type { RunTaskOptions } from '../../src/door/stackshim.ts';
import type { TaskInput } from '../../src/spec/task-input.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import type { TaskResult } from '../../src/task/result.ts';
import { runCli, startCli } from '../support/cli/run-cli.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { makeProbeImage } from '../support/programs/probe-image.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { options, env, layout } = useInstallation();
const folder = mkdtempSync('/var/tmp/stackshim-output-');
const shared = mkdtempSync(`${folder}/shared-`);
const code = mkdtempSync(`${folder}/code-`);
let sockets = 0;
const open = new Set<number>();

beforeAll(async () => {
  const policy = { allow: { pid: ['private', 'host'], userns: ['auto', 'host'] } };
  writeFileSync(layout.policyFile, JSON.stringify(policy), { mode: 0o644 });
  for (const path of [folder, code]) chmodSync(path, 0o755);
  chmodSync(shared, 0o777);
  const image = await makeProbeImage(`${folder}/image`);
  copyFileSync(image.program, `${code}/probe`);
  chmodSync(`${code}/probe`, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  for (const fd of open) linuxSystem.close(fd);
  open.clear();
});

/** Waits for the descriptor that a task sends to a listener in its shared folder. */
function openSocket() {
  sockets += 1;
  const name = `socket-${sockets}`;
  const listener = linuxSystem.listenUnix(`${shared}/${name}`);
  chmodSync(`${shared}/${name}`, 0o777);
  open.add(listener);
  return {
    give: (fd: number) => `/task/probe give-descriptor /shared/${name} ${fd}`,
    async taken(): Promise<number> {
      const fd = await waitUntil(() => {
        try {
          return linuxSystem.receiveFd(listener);
        } catch {
          return undefined;
        }
      });
      open.add(fd);
      return fd;
    },
  };
}

const withSocket = (script: string, more: Partial<TaskInput> = {}): TaskInput => ({
  stack: 'busybox',
  code,
  command: ['sh', '-c', script],
  mounts: [`type=bind,source=${shared},target=/shared`],
  ...more,
});

/** The task's descriptor, after its first process has been waited for. */
async function runAndKeep(input: TaskInput, socket: ReturnType<typeof openSocket>) {
  let pid = 0;
  const running = runTask(input, {
    ...options,
    onEvent(event) {
      if (event.type === 'created') ({ pid } = event);
    },
  });
  const fd = await socket.taken();
  await waitUntil(() => !existsSync(`/proc/${pid}`));
  return { fd, running };
}

const tryWrite = (fd: number, text: string): void => {
  try {
    writeSync(fd, text);
  } catch (error) {
    expect(error).toMatchObject({ code: expect.stringMatching(/^(EPIPE|EIO)$/) });
  }
};

describe.each<[string, Partial<TaskInput>]>([
  ['a pipe', {}],
  ['a pipe, in the host’s pid namespace', { pid: 'host', userns: 'host' }],
])('%s that another process holds open', (_, more) => {
  it('ends with the task: later writes are not part of the output', async () => {
    const socket = openSocket();
    const script = `echo own; ${socket.give(1)}`;
    const { fd, running } = await runAndKeep(withSocket(script, more), socket);
    tryWrite(fd, 'forged\n');
    const { verdict, output } = await running;
    expect({ verdict, ...output }).toEqual({
      verdict: 'succeeded',
      stdoutBytes: 4,
      stderrBytes: 0,
      lostBytes: 0,
      truncated: false,
      stdout: 'own\n',
      stderr: '',
    });
  });

  it('still delivers everything that the task wrote', async () => {
    const socket = openSocket();
    const script = `${socket.give(1)}; head -c 60000 /dev/zero | tr '\\0' x`;
    const { fd, running } = await runAndKeep(withSocket(script, more), socket);
    tryWrite(fd, 'forged\n');
    const { output } = await running;
    expect(output.stdout).toBe('x'.repeat(60_000));
  });
});

it('a terminal that another process holds open ends with the task', async () => {
  const socket = openSocket();
  const input = withSocket(`echo own; ${socket.give(1)}`, { tty: true });
  const { running } = await runAndKeep(input, socket);
  const { verdict, output } = await running;
  expect({ verdict, stdout: output.stdout }).toEqual({ verdict: 'succeeded', stdout: 'own\r\n' });
});

it.each([
  ['a pipe', []],
  ['a terminal', ['-t']],
])('the executable ends with its task although another process writes to %s', async (_, more) => {
  const socket = openSocket();
  const binds = ['-v', `${shared}:/shared`, '--code', code];
  const script = `echo own; ${socket.give(1)}`;
  const args = ['run', ...binds, ...more, '--timeout', '60s', 'busybox', 'sh', '-c', script];
  const { ended } = startCli(args, { env });
  const fd = await socket.taken();
  let hasEnded = false;
  void ended.then(() => {
    hasEnded = true;
  });
  let written = 0;
  while (!hasEnded && written < 3_000) {
    tryWrite(fd, 'forged\n');
    written += 1;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(written).toBeLessThan(3_000);
  expect(await ended).toMatchObject({ status: 0, stdout: expect.stringMatching(/^own\r?\n/) });
});

describe('a sink that accepts nothing', () => {
  const never = () => new Writable({ highWaterMark: 1, write: () => undefined });
  const noisy = { stack: 'busybox', command: ['sh', '-c', 'while :; do echo more; done'] };

  /** What stops a task: its input, and the options of its run. `offered` resolves when the sink has got something. */
  type Stop = (offered: Promise<void>) => {
    readonly input?: Partial<TaskInput>;
    readonly given?: Partial<RunTaskOptions>;
  };

  const abortAfter = (offered: Promise<void>): AbortSignal => {
    const stop = new AbortController();
    void offered.then(() => stop.abort());
    return stop.signal;
  };

  const stops: readonly (readonly [string, Stop, string])[] = [
    ['its timeout', () => ({ input: { timeout: '1s', stopTimeout: '0s' } }), 'timed_out'],
    ['its output limit', () => ({ input: { outputLimit: 4, timeout: '30s' } }), 'output_limited'],
    [
      'its deadline',
      () => ({ input: { stopTimeout: '0s' }, given: { deadline: Date.now() + 2_000 } }),
      'timed_out',
    ],
    [
      'its signal',
      (offered) => ({ input: { stopTimeout: '0s' }, given: { signal: abortAfter(offered) } }),
      'cancelled',
    ],
    ['its killSignal', (offered) => ({ given: { killSignal: abortAfter(offered) } }), 'cancelled'],
  ];

  const runStopped = async (stop: Stop) => {
    let offer: () => void = () => undefined;
    const offered = new Promise<void>((resolve) => {
      offer = resolve;
    });
    const stdout = new Writable({ highWaterMark: 1, write: () => offer() });
    const { input, given } = stop(offered);
    return await runTask({ ...noisy, ...input }, { ...options, ...given, stdout });
  };

  describe('does not hold up a task', () => {
    // At the same time: each waits ten seconds for its sink.
    let results: readonly TaskResult[] = [];
    beforeAll(async () => {
      results = await Promise.all(stops.map(([, stop]) => runStopped(stop)));
    }, scaled(60_000));

    it.each(stops.map(([what, , verdict], place) => ({ what, verdict, place })))(
      'that $what has stopped, and is reported',
      ({ verdict, place }) => {
        const result = results[place];
        expect(result).toMatchObject({ verdict, removed: true, leftovers: [] });
        expect(result?.output.truncated).toBe(true);
        expect(result?.output.lostBytes).toBeGreaterThan(0);
      },
    );
  });

  it('is abandoned when another process asks for the end of an ended task', async () => {
    let pid = 0;
    const command = ['sh', '-c', 'echo first; sleep 0.2; echo second'];
    const running = runTask(
      { stack: 'busybox', command, id: 'kept-by-reader' },
      {
        ...options,
        stdout: never(),
        onEvent(event) {
          if (event.type === 'created') ({ pid } = event);
        },
      },
    );
    await waitUntil(() => pid > 0 && !existsSync(`/proc/${pid}`));
    expect((await runCli(['kill', 'kept-by-reader'], { env })).status).toBe(0);
    expect(await running).toMatchObject({ removed: true, output: { lostBytes: 13 } });
  });

  it('holds up an ended task until its timeout', async () => {
    const command = ['sh', '-c', 'echo first; sleep 0.2; echo second'];
    const input = { stack: 'busybox', command, timeout: '2s' };
    const result = await runTask(input, { ...options, stdout: never() });
    expect(result).toMatchObject({
      verdict: 'succeeded',
      removed: true,
      output: { stdoutBytes: 13, lostBytes: 13, truncated: true },
    });
  });
});
