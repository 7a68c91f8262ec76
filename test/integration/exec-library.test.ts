/** `exec` of the library: of a handle, and of an open installation for tasks of any process. */
import { Readable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { openStackshim, type TaskHandle, type TaskInput } from '../../src/index.ts';
import { useInstallation } from '../support/installation/installation.ts';

const { options } = useInstallation();
const stackshim = openStackshim(options);
const handles: TaskHandle[] = [];

async function startTask(more: Partial<TaskInput> = {}): Promise<TaskHandle> {
  const handle = await stackshim.start({ stack: 'busybox', command: ['sleep', '1000'], ...more });
  handles.push(handle);
  for await (const event of handle.events) if (event.type === 'started') break;
  return handle;
}

afterEach(async () => {
  for (const handle of handles.splice(0)) await handle.kill();
});

const sh = (script: string) => ['sh', '-c', script];

it('captures output unless it goes elsewhere', async () => {
  const handle = await startTask();
  const { exitCode, signal, output, id, error } = await handle.exec(
    sh('echo out; echo err >&2; exit 3'),
  );
  expect({ exitCode, signal, id, error }).toEqual({
    exitCode: 3,
    signal: null,
    id: handle.id,
    error: null,
  });
  expect(output).toMatchObject({ stdout: 'out\n', stderr: 'err\n', truncated: false });
  const chunks: Uint8Array[] = [];
  const stdout = { write: (chunk: Uint8Array) => void chunks.push(chunk) };
  const elsewhere = await stackshim.exec(handle.id, ['echo', 'out'], { stdout });
  expect(elsewhere.output).toEqual({
    stdoutBytes: 4,
    stderrBytes: 0,
    lostBytes: 0,
    truncated: false,
  });
  expect(Buffer.concat(chunks).toString()).toBe('out\n');
  const cut = await handle.exec(sh('seq 1000'), { captureBytes: 100 });
  expect(cut.output).toMatchObject({ truncated: true, stdoutBytes: 3893 });
});

it('feeds the command from a stream', async () => {
  const handle = await startTask();
  const { output } = await handle.exec(['sort'], { stdin: Readable.from(['b\n', 'a\n']) });
  expect(output.stdout).toBe('a\nb\n');
});

it('sets environment, folder and user', async () => {
  const handle = await startTask({ env: { ONE: '1' } });
  const given = { env: { TWO: '2' }, workdir: '/tmp', user: 'user' };
  const { output } = await handle.exec(sh('echo $ONE $TWO $HOME $(pwd) $(id -u)'), given);
  expect(output.stdout).toBe('1 2 /home/user /tmp 1000\n');
});

it('gives the command a terminal', async () => {
  const handle = await startTask();
  const terminal = { size: { rows: 11, columns: 22 }, onResize: () => () => undefined };
  const { output } = await handle.exec(['stty', 'size'], { tty: true, terminal });
  expect(output.stdout).toBe('11 22\r\n');
});

describe('a signal of the caller', () => {
  it.each([
    [undefined, 'SIGTERM'],
    ['SIGINT', 'SIGINT'],
    ['SIGUSR1', 'SIGUSR1'],
  ])('with the reason %s ends the command by %s', async (reason, signal) => {
    const handle = await startTask();
    const stop = new AbortController();
    const stdout = { write: () => stop.abort(reason) };
    const command = sh('echo begun; exec sleep 1000');
    expect(await handle.exec(command, { signal: stop.signal, stdout })).toMatchObject({
      exitCode: null,
      signal,
    });
  });

  it('kills the command at once if it is the killSignal', async () => {
    const handle = await startTask();
    const kill = new AbortController();
    const stdout = { write: () => kill.abort() };
    const command = sh('trap "" TERM INT; echo begun; while :; do sleep 0.05; done');
    expect(await handle.exec(command, { killSignal: kill.signal, stdout })).toMatchObject({
      signal: 'SIGKILL',
    });
  });

  it('that was aborted before starts nothing', async () => {
    const handle = await startTask();
    const signal = AbortSignal.abort();
    await expect(handle.exec(['true'], { signal })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_TASK_ABORTED',
    });
  });
});

it('many commands of many tasks run side by side, each with its own end', async () => {
  const tasks = await Promise.all([startTask(), startTask()]);
  const codes = Array.from({ length: 24 }, (_, index) => index);
  const ends = await Promise.all(
    codes.map((code) => tasks[code % 2]?.exec(sh(`echo ${code}; exit ${code}`))),
  );
  expect(ends.map((end) => [end?.exitCode, end?.output.stdout])).toEqual(
    codes.map((code) => [code, `${code}\n`]),
  );
  const results = await Promise.all(tasks.map((task) => task.kill()));
  expect(results.map(({ execs }) => execs?.length)).toEqual([12, 12]);
  expect(results.every(({ removed }) => removed)).toBe(true);
});

it('a command ends with its task, which does not wait', async () => {
  const handle = await startTask();
  let begun: () => void = () => undefined;
  const hasBegun = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const ending = handle.exec(sh('echo begun; exec sleep 1000'), {
    stdout: { write: () => begun() },
  });
  await hasBegun;
  expect(await handle.kill()).toMatchObject({ verdict: 'cancelled', removed: true });
  expect(await ending).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
  await expect(handle.exec(['true'])).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_TASK_NOT_FOUND',
  });
});

it('commands that are started while the task ends end in a result or in an error that says so', async () => {
  const handle = await startTask();
  const starting = Array.from({ length: 8 }, () => handle.exec(['true']));
  const settled = Promise.allSettled(starting);
  expect(await handle.kill()).toMatchObject({ removed: true, leftovers: [] });
  for (const one of await settled) {
    if (one.status === 'rejected') {
      expect(one.reason.code).toMatch(/^ERR_STACKSHIM_TASK_(CONFLICT|NOT_FOUND)$/);
    }
  }
});

it('a sink that fails is told, and the command goes on', async () => {
  const handle = await startTask();
  const stdout = {
    write() {
      throw new Error('no room');
    },
  };
  const { exitCode, error } = await handle.exec(sh('echo out; exit 3'), { stdout });
  expect([exitCode, error?.message]).toEqual([3, expect.stringContaining('no room')]);
});

it.each([
  [{ nosuch: 1 }, 'nosuch'],
  [{ env: { 'A=B': '' } }, 'env'],
  [{ workdir: 'tmp' }, 'workdir'],
  [{ user: 'a:b:c' }, 'user'],
  [{ captureBytes: '65m' }, 'captureBytes'],
  [{ stdin: 'text' }, 'stdin'],
])('refuses %j', async (given, field) => {
  const handle = await startTask();
  await expect(handle.exec(['true'], given as object)).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_SPEC_INVALID',
    details: { field },
  });
});
