/** Runtimes that hang, lie or print nonsense: the task still ends, its result is true, and no other process is touched. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { taskDir } from '../../src/core/layout.ts';
import { isAlive, type ProcessIdentity, readProcess } from '../../src/sys/processes.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { CLEAN, type StartedTask, useTaskRunner } from '../support/cli/task-runner.ts';
import { realRunc, writeExecutable, writeFakeRuntime } from '../support/runtimes/fake-runtime.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { installation, start, folder, setPolicy } = useTaskRunner();
const { layout, env } = installation;

/** A process that is not involved. */
let foreign: ProcessIdentity;
let sleeper: ChildProcess;
const written: string[] = [];
const UNDELETED = new RegExp(`^${layout.run}/runtime/undeleted(: |$)`);

beforeAll(async () => {
  sleeper = spawn('sleep', ['1000'], { stdio: 'ignore' });
  await once(sleeper, 'spawn');
  foreign = identify(sleeper.pid ?? 0);
});
afterAll(async () => {
  sleeper.kill();
  await once(sleeper, 'exit');
});
afterEach(async () => {
  expect(isAlive(foreign)).toBe(true);
  expect(await runCli(['reap', '--json'], { env })).toMatchObject({ status: 0, stderr: '' });
  expect(readdirSync(join(layout.run, 'tasks'))).toEqual([]);
});

function identify(pid: number): ProcessIdentity {
  return readProcess(pid) ?? expect.fail(`no process ${pid}`);
}

/** Allows the runtime that `write` writes in the policy, and returns its path. */
function runtime(name: string, write: (path: string) => void): string {
  const path = join(folder, name);
  write(path);
  written.push(path);
  setPolicy({ allow: { runtimes: ['runc', ...written] } });
  return path;
}

/** A runc that behaves differently around `create`. */
const aroundCreate = (name: string, code: { before?: string; after?: string }) =>
  runtime(name, (path) =>
    writeFakeRuntime(path, {
      real: realRunc(layout),
      ...(code.before === undefined ? {} : { beforeCreate: code.before }),
      ...(code.after === undefined ? {} : { afterCreate: code.after }),
    }),
  );

/** A runtime with another name, which is called to start and delete containers; `start` and `delete` are shell code for these calls. */
const another = (name: string, { start: starts = '', delete: deletes = '' }) =>
  runtime(name, (path) =>
    writeExecutable(
      path,
      `#!/bin/sh
case " $* " in
*" --version "*) echo 'another version 1.0'; echo 'spec: 1.0.2'; exit 0 ;;
*" start "*) ${starts === '' ? ':' : starts} ;;
*" delete "*) ${deletes === '' ? ':' : deletes} ;;
esac
exec ${realRunc(layout)} "$@"
`,
    ),
  );

/** Finds `--pid-file PATH` in the arguments of create. */
const PID_FILE = 'for last; do [ "$before" = --pid-file ] && pidfile=$last; before=$last; done';

const run = (path: string, command = ['true'], ...options: readonly string[]) =>
  start(['--runtime', path, ...options], command).ended;

describe('a runtime that reports a created container', () => {
  it('but has created none and written no pid file', async () => {
    const { status, record } = await run(aroundCreate('nothing', { before: 'exit 0' }));
    expect(status).toBe(125);
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'setup_failed',
      retryable: true,
      error: { code: 'ERR_STACKSHIM_RUNTIME_FAILED' },
    });
  });

  it.each([
    ['0', '0'],
    ['1', '1'],
    ['-1', '-1'],
    ['nonsense', 'nonsense'],
    ['a number that is not a pid', '99999999999999'],
    ['a pid that is not in use', '4194303'],
    ['nothing', ''],
  ])('with a pid file that holds %s', async (name, pid) => {
    const path = aroundCreate(`pid-${name}`.replaceAll(' ', '-'), {
      after: `${PID_FILE}; printf %s '${pid}' > "$pidfile"`,
    });
    const { record } = await run(path);
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'setup_failed',
      error: { code: 'ERR_STACKSHIM_RUNTIME_FAILED' },
    });
  });

  it('with the pid of a process of the host', async () => {
    const path = aroundCreate('foreign', {
      after: `${PID_FILE}; echo ${foreign.pid} > "$pidfile"`,
    });
    const { record } = await run(path, ['true'], '--timeout', '1s');
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'setup_failed',
      error: { code: 'ERR_STACKSHIM_RUNTIME_FAILED' },
    });
    expect(isAlive(foreign)).toBe(true);
  });

  it('with the pid of the shim itself', async () => {
    const path = aroundCreate('shim', { after: `${PID_FILE}; echo $PPID > "$pidfile"` });
    const { record } = await run(path);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'setup_failed' });
  });

  it('with the pid of another task', async () => {
    const other = start(['--name', 'other'], ['sh', '-c', 'echo ready; exec sleep 1000']);
    await other.printed('ready');
    const init = identify(await pidOf('other'));
    const path = aroundCreate('other-task', {
      after: `${PID_FILE}; echo ${init.pid} > "$pidfile"`,
    });
    const { record } = await run(path, ['true'], '--timeout', '1s');
    expect(record).toMatchObject({ ...CLEAN, verdict: 'setup_failed' });
    expect(isAlive(init)).toBe(true);
    other.child.kill('SIGTERM');
    expect((await other.ended).record).toMatchObject({ ...CLEAN, verdict: 'cancelled' });
  });

  it('and has already started it', async () => {
    const path = aroundCreate('started', {
      after: `before=; for arg; do [ "$before" = --root ] && root=$arg; before=$arg; done; "$REAL" --root "$root" start "$before"`,
    });
    const { record } = await run(path, ['sleep', '1000']);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'signaled', signal: 'SIGKILL' });
    expect(record?.error?.code).toBe('ERR_STACKSHIM_RUNTIME_FAILED');
  });

  it('but exits with a failure', async () => {
    const { record } = await run(aroundCreate('failing', { after: 'exit 1' }));
    expect(record).toMatchObject({ ...CLEAN, verdict: 'setup_failed' });
  });

  it('but is ended by a signal', async () => {
    const { record } = await run(aroundCreate('crashing', { after: 'kill -SEGV $$' }));
    expect(record).toMatchObject({ ...CLEAN, verdict: 'setup_failed', retryable: true });
  });
});

describe('a runtime that prints nonsense', () => {
  it('into its log, in large amounts', async () => {
    const log =
      'before=; for arg; do [ "$before" = --log ] && log=$arg; before=$arg; done; yes "{\\"level\\":" | head -c 20000000 > "$log"';
    const { record } = await run(aroundCreate('log', { before: `${log}; exit 1` }));
    expect(record).toMatchObject({
      ...CLEAN,
      verdict: 'setup_failed',
      error: { code: 'ERR_STACKSHIM_RUNTIME_FAILED' },
    });
    expect(JSON.stringify(record).length).toBeLessThan(20_000);
  });

  it.each([
    ['nonsense', 'echo nonsense'],
    ['a lot of nonsense', 'yes nonsense | head -c 1000000'],
    ['nothing', ':'],
    ['only the name of a runtime', 'echo "runc version "'],
  ])('as its version: %s', async (name, says) => {
    const path = runtime(`version-${name}`.replaceAll(' ', '-'), (file) =>
      writeExecutable(file, `#!/bin/sh\n${says}\n`),
    );
    const { status, stderr, record } = await run(path);
    expect({ status, record }).toEqual({ status: 125, record: undefined });
    expect(stderr).toContain('[ERR_STACKSHIM_RUNTIME_NOT_FOUND]');
  });

  it('and leaves a process that keeps the task’s streams open', async () => {
    const pidFile = join(folder, 'stray.pid');
    const path = aroundCreate('stray', { before: `setsid sleep 1000 & echo $! > ${pidFile}` });
    const { record } = await run(path, ['sh', '-c', 'echo out; exit 3']);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'failed', exitCode: 3 });
    const stray = Number(readFileSync(pidFile, 'utf8'));
    process.kill(stray, 'SIGKILL');
  });
});

describe('a runtime that hangs', () => {
  it.each([
    ['before it creates the container', { before: 'sleep 1000' }],
    ['after it has created the container', { after: 'sleep 1000' }],
  ])('%s is ended when the task is cancelled', async (name, code) => {
    const path = aroundCreate(`hangs ${name}`.replaceAll(' ', '-'), code);
    const id = `hang-${Object.keys(code)[0]}`;
    const task = start(['--name', id, '--runtime', path], ['true']);
    await waitUntil(() => existsSync(join(taskDir(layout, parseTaskId(id)), 'bundle/config.json')));
    task.child.kill('SIGTERM');
    const { status, record } = await task.ended;
    expect(status).toBe(143);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'cancelled', exitCode: null });
  });

  // The cases run at the same time: each takes a minute.
  it('is ended after a time limit, whatever it was called for', { timeout: 240_000 }, async () => {
    // Each runtime and its policy are written before a task that uses them starts.
    const hanging = [
      aroundCreate('hang-1', { before: 'sleep 1000' }),
      aroundCreate('hang-2', { after: 'sleep 1000' }),
      aroundCreate('hang-3', { before: 'yes nonsense' }),
      another('hang-4', { start: 'sleep 1000' }),
    ];
    const version = runtime('hang-5', (file) => writeExecutable(file, '#!/bin/sh\nsleep 1000\n'));
    const deletes = another('hang-6', { delete: 'sleep 1000' });
    const tasks = hanging.map((path) => start(['--runtime', path], ['true']));
    const asked = start(['--runtime', version], ['true']);
    const leaves = start(['--name', 'undeleted', '--runtime', deletes], ['sh', '-c', 'exit 3']);
    for (const task of tasks) await expectGivenUp(task);
    expect((await asked.ended).stderr).toContain('[ERR_STACKSHIM_RUNTIME_NOT_FOUND]');
    const { record } = await leaves.ended;
    expect(record).toMatchObject({ verdict: 'failed', exitCode: 3, removed: false });
    expect(record?.leftovers).toContainEqual(expect.stringMatching(UNDELETED));
    another('hang-6', {});
    const { stdout } = await runCli(['reap'], { env });
    expect(stdout).toBe('undeleted\n');
  });
});

async function expectGivenUp(task: StartedTask): Promise<void> {
  const { status, record } = await task.ended;
  expect(status).toBe(125);
  expect(record).toMatchObject({
    ...CLEAN,
    verdict: 'setup_failed',
    retryable: true,
    error: { code: 'ERR_STACKSHIM_RUNTIME_FAILED', details: { reason: 'timeout' } },
  });
}

describe('another runtime than runc that reports', () => {
  it('a started container, but has not started it', async () => {
    const path = another('not-started', { start: 'exit 0' });
    const { status, record } = await run(path, ['true'], '--timeout', '500ms');
    expect(status).toBe(124);
    expect(record).toMatchObject({ ...CLEAN, verdict: 'timed_out' });
  });

  it('a deleted container, but has not deleted it', async () => {
    const path = another('not-deleted', { delete: 'exit 0' });
    const { status, record } = await run(path, ['true'], '--name', 'undeleted');
    expect(status).toBe(0);
    expect(record).toMatchObject({ verdict: 'succeeded', removed: false });
    expect(record?.leftovers).toContainEqual(expect.stringMatching(UNDELETED));
    another('not-deleted', {});
    expect((await runCli(['reap'], { env })).stdout).toBe('undeleted\n');
  });
});

async function pidOf(id: string): Promise<number> {
  const { stdout } = await runCli(['ps', '--json'], { env });
  return JSON.parse(stdout).tasks.find((task: { id: string }) => task.id === id).pid;
}
