/** `stackshim pause` and `unpause`: with every runtime; a paused task is still ended by whatever ends tasks. */
import { mkdirSync, rmdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { openInstallation } from '../../src/task/installation.ts';
import { findTask } from '../../src/task/records/list-tasks.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { runtimesUnderTest } from '../support/runtimes/runtime-lab.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const runner = useTaskRunner();
const { installation, run, start, folder, setPolicy } = runner;
const { env } = installation;
const cli = (...args: readonly string[]) => runCli(args, { env });
const WAITING = sh('echo ready; exec sleep 1000');
/** Counts in its output. */
const COUNTING = sh(
  'trap "echo bye; exit 3" TERM; echo ready; i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done',
);

const here = () => openInstallation(installation.layout);
const stateOf = (id: string) => findTask(here(), parseTaskId(id))?.state;

async function started(id: string, command = WAITING, ...options: readonly string[]) {
  const task = start(['--name', id, ...options], command);
  await task.printed('ready');
  return task;
}

async function paused(id: string, command = WAITING, ...options: readonly string[]) {
  const task = await started(id, command, ...options);
  expect(await cli('pause', id)).toMatchObject({ status: 0, stdout: `${id}\n`, stderr: '' });
  return task;
}

/** No guest of the test VM has it. */
const gvisor = process.env['STACKSHIM_TEST_VM'] === undefined ? ['runsc'] : [];
const runtimes = [
  ...runtimesUnderTest(folder).map(({ name, path }) => ({ name, path })),
  ...gvisor.map((path) => ({ name: 'gVisor', path })),
];

describe.each(runtimes)('with $name', ({ path }) => {
  const given = ['--runtime', path];
  beforeAll(() => setPolicy({ allow: { runtimes: ['runc', path] } }));
  afterAll(() => setPolicy(null));

  it('a paused task stands still, and goes on when it is unpaused', async () => {
    const task = await paused('still', COUNTING, ...given);
    expect(stateOf('still')).toBe('paused');
    const { stdout } = await cli('ps', '-f', 'status=paused');
    expect(stdout).toMatch(/\nstill .* paused /);
    const cpuMs = async () => {
      const { stdout: line } = await cli('stats', '--no-stream', '--json', 'still');
      return JSON.parse(line).tasks[0].cpuMs;
    };
    const before = await cpuMs();
    expect(await cpuMs()).toBe(before);
    expect(await cli('unpause', 'still')).toMatchObject({ status: 0, stdout: 'still\n' });
    expect(stateOf('still')).toBe('running');
    await waitUntil(async () => (await cpuMs()) > before);
    expect((await cli('kill', 'still')).status).toBe(0);
    expect((await task.ended).record).toMatchObject({ ...CLEAN, verdict: 'cancelled' });
  });

  it('kill, a timeout and a reap end a paused task', async () => {
    // It waits for its time while the others end.
    const late = await paused('late', WAITING, ...given, '--timeout', '3s');
    const killed = await paused('killed', COUNTING, ...given);
    expect((await cli('kill', 'killed')).status).toBe(0);
    const { record, stdout } = await killed.ended;
    expect(record).toMatchObject({ ...CLEAN, verdict: 'cancelled', exitCode: 3 });
    // It ran again, so that it could act on its stop signal.
    expect(stdout).toMatch(/\nbye\n$/);

    const orphan = await paused('orphan', WAITING, ...given);
    orphan.child.kill('SIGKILL');
    await orphan.ended;
    expect(stateOf('orphan')).toBe('orphaned');
    expect(await cli('reap')).toMatchObject({ status: 0, stdout: 'orphan\n', stderr: '' });
    expect((await late.ended).record).toMatchObject({ ...CLEAN, verdict: 'timed_out' });
  });
});

it('KILL from inside of the owner ends a paused task', async () => {
  const task = await paused('hurry');
  // The second signal kills at once.
  task.child.kill('SIGINT');
  task.child.kill('SIGINT');
  expect((await task.ended).record).toMatchObject({ ...CLEAN, verdict: 'cancelled' });
});

it('a task that is paused and unpaused many times at once ends as it should', async () => {
  const task = await started('often', COUNTING);
  const calls = Array.from({ length: 10 }, (_, n) =>
    cli(n % 2 === 0 ? 'pause' : 'unpause', 'often'),
  );
  for (const { status, stderr } of await Promise.all(calls)) {
    if (status === 0) continue;
    expect(status).toBe(4);
    expect(stderr).toMatch(/it is paused already|it is not paused/);
  }
  expect((await cli('kill', 'often')).status).toBe(0);
  expect((await task.ended).record).toMatchObject({ ...CLEAN, verdict: 'cancelled' });
});

it('several tasks are paused at once; the first failure is the status', async () => {
  const one = await started('one');
  const two = await started('two');
  const { status, stdout, stderr } = await cli('pause', 'one', 'missing', 'two', 'one');
  expect(status).toBe(3);
  expect(stdout.split('\n').sort()).toEqual(['', 'one', 'two']);
  expect(stderr).toContain('pause task missing: no such task [ERR_STACKSHIM_TASK_NOT_FOUND]');
  expect(await cli('pause', 'one')).toMatchObject({
    status: 4,
    stderr: expect.stringContaining('it is paused already [ERR_STACKSHIM_TASK_CONFLICT]'),
  });
  expect((await cli('unpause', 'one', 'two')).status).toBe(0);
  expect(await cli('unpause', 'one')).toMatchObject({
    status: 4,
    stderr: expect.stringContaining('it is not paused [ERR_STACKSHIM_TASK_CONFLICT]'),
  });
  await cli('kill', 'one', 'two');
  await Promise.all([one.ended, two.ended]);
});

describe('a task that does not run', () => {
  const commands: readonly (readonly string[])[] = [
    ['pause'],
    ['unpause'],
    ['update', '--memory', '64m'],
    ['top'],
    ['stats', '--no-stream'],
  ];

  it.each(commands)('is refused by %s', async (...command) => {
    await run(['--name', 'kept', '--keep'], ['true']);
    const kept = await cli(...command, 'kept');
    expect(kept).toMatchObject({ status: 4, stdout: '' });
    expect(kept.stderr).toContain('[ERR_STACKSHIM_TASK_CONFLICT]');
    await cli('kill', 'kept');
    const gone = await cli(...command, 'kept');
    expect(gone).toMatchObject({ status: 3, stdout: '' });
    expect(gone.stderr).toContain('[ERR_STACKSHIM_TASK_NOT_FOUND]');
    const bad = await cli(...command, '../kept');
    expect(bad).toMatchObject({ status: 2, stdout: '' });
    expect(bad.stderr).toContain('[ERR_STACKSHIM_SPEC_INVALID]');
  });

  it.each(commands.slice(0, 3))('and has no owner is refused by %s', async (...command) => {
    const orphan = await started('left');
    orphan.child.kill('SIGKILL');
    await orphan.ended;
    const { status, stderr } = await cli(...command, 'left');
    expect(status).toBe(4);
    expect(stderr).toContain('it is orphaned');
    expect(stderr).toContain('stackshim reap');
    await cli('kill', 'left');
  });

  it.each(commands)('here but in another installation is not found by %s', async (...command) => {
    const task = await started('elsewhere');
    const other = `${folder}/other`;
    const places = { STACKSHIM_ROOT: `${other}/root`, STACKSHIM_RUN: `${other}/run` };
    const { status, stderr } = await runCli([...command, 'elsewhere'], {
      env: { ...env, ...places },
    });
    expect(status).toBe(3);
    expect(stderr).toContain('STACKSHIM_RUN');
    await cli('kill', 'elsewhere');
    await task.ended;
  });
});

it('needs root', async () => {
  const through = ['setpriv', '--reuid', '1000', '--clear-groups'];
  for (const command of ['pause', 'unpause', 'top', 'stats', 'events']) {
    const ids = command === 'events' ? [] : ['x'];
    const { status, stderr } = await runCli([command, ...ids], { env, through });
    expect(status).toBe(1);
    expect(stderr).toMatch(/ERR_STACKSHIM_(NOT_ROOT|PATH_UNTRUSTED)/);
  }
});

it('a pause that fails leaves the task running', async () => {
  const task = await started('untold', COUNTING);
  const file = `${installation.layout.run}/tasks/untold/paused`;
  // In place of a disk without room for the file.
  mkdirSync(file);
  const { status, stderr } = await cli('pause', 'untold');
  expect(status).toBe(1);
  expect(stderr).toContain('[ERR_STACKSHIM_SYSTEM]');
  expect(stateOf('untold')).toBe('running');
  rmdirSync(file);
  expect(await cli('kill', 'untold')).toMatchObject({ status: 0 });
  await task.ended;
});
