/** `stackshim kill`: tasks of every kind are ended and removed, whoever owns them. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { taskCgroup } from '../../src/cgroup/cgroup-names.ts';
import { openCgroupDriver } from '../../src/cgroup/open-cgroup-driver.ts';
import { parseTaskId } from '../../src/core/ids.ts';
import { taskDir, taskScratchDir } from '../../src/core/layout.ts';
import { runCli, startCli } from '../support/cli/run-cli.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { makeGate, realRunc, writeFakeRuntime } from '../support/runtimes/fake-runtime.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { installation, run, start, folder, setPolicy } = useTaskRunner();
const { env, layout } = installation;
const driver = openCgroupDriver();
let count = 0;

const kill = (...args: readonly string[]) => runCli(['kill', ...args], { env });
const folderOf = (id: string) => taskDir(layout, parseTaskId(id));
const scratchOf = (id: string) => taskScratchDir(layout, parseTaskId(id));

const WAITING = ['sh', '-c', 'echo ready; exec sleep 1000'];
/** Ends by itself when it gets TERM. */
const POLITE = [
  'sh',
  '-c',
  'trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.02; done',
];
const STUBBORN = ['sh', '-c', 'trap "echo no" TERM; echo ready; while :; do sleep 0.02; done'];

async function started(id: string, command: readonly string[], options: readonly string[] = []) {
  const task = start(['--name', id, ...options], command);
  await task.printed('ready');
  return task;
}

describe('a task whose owner lives', () => {
  it('may end by itself; its owner reports it as cancelled', async () => {
    const task = await started('polite', POLITE);
    const { status, stdout, stderr } = await kill('--stop-timeout', '1h', 'polite');
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'polite\n', stderr: '' });
    expect(existsSync(folderOf('polite'))).toBe(false);
    const ended = await task.ended;
    expect(ended).toMatchObject({ status: 143, stdout: 'ready\nbye\n' });
    expect(ended.record).toMatchObject({ ...CLEAN, verdict: 'cancelled', exitCode: 3 });
  });

  it('is killed at once if TERM cannot end it', { tags: ['gvisor/pid-1'] }, async () => {
    const task = await started('deaf', WAITING);
    expect(await kill('--stop-timeout', '1h', 'deaf')).toMatchObject({ status: 0 });
    expect((await task.ended).record).toMatchObject({
      ...CLEAN,
      verdict: 'cancelled',
      signal: 'SIGKILL',
    });
  });

  it.each(['0', '200ms'])('is killed when %s have passed', async (stopTimeout) => {
    const task = await started('stubborn', STUBBORN);
    expect(await kill('--stop-timeout', stopTimeout, 'stubborn')).toMatchObject({ status: 0 });
    expect((await task.ended).record).toMatchObject({
      ...CLEAN,
      verdict: 'cancelled',
      signal: 'SIGKILL',
    });
  });

  it.each([
    ['the runtime fails', 'exit 1'],
    ['the runtime reports a container', ':'],
  ])('is cancelled while its container is created (%s)', async (_, onward) => {
    const id = `created-${++count}`;
    const gate = makeGate(folder, id);
    const runtime = join(folder, `runtime-of-${id}`);
    writeFakeRuntime(runtime, { real: realRunc(layout), afterCreate: `${gate.stop}; ${onward}` });
    setPolicy({ allow: { runtimes: ['runc', runtime] } });
    const task = start(['--name', id, '--runtime', runtime], WAITING);
    await gate.reached();
    const killing = kill(id);
    await waitUntil(() => driver.listProcesses(taskCgroup(layout, parseTaskId(id))).length === 0);
    await gate.open();
    expect(await killing).toMatchObject({ status: 0, stdout: `${id}\n` });
    const { record, status } = await task.ended;
    expect(record).toMatchObject({ ...CLEAN, verdict: 'cancelled', exitCode: null, error: null });
    expect(status).toBe(143);
    setPolicy(null);
  });

  it('is removed even if it was to be kept', async () => {
    const task = await started('kept-at-end', WAITING, ['--keep']);
    expect(await kill('kept-at-end')).toMatchObject({ status: 0, stdout: 'kept-at-end\n' });
    expect((await task.ended).record?.verdict).toBe('cancelled');
    expect([existsSync(folderOf('kept-at-end')), existsSync(scratchOf('kept-at-end'))]).toEqual([
      false,
      false,
    ]);
  });

  it('is removed when its owner dies before removing it', async () => {
    const task = await started('bereft', STUBBORN);
    const killing = startCli(['kill', '--stop-timeout', '1h', 'bereft'], { env });
    await task.printed('no');
    task.child.kill('SIGKILL');
    expect(await killing.ended).toMatchObject({ status: 0, stdout: 'bereft\n' });
    await task.ended;
    expect(existsSync(folderOf('bereft'))).toBe(false);
  });

  it('is ended once, however many callers ask', async () => {
    const task = await started('popular', POLITE);
    const results = await Promise.all([kill('popular'), kill('popular'), kill('popular')]);
    const statuses = results.map(({ status }) => status);
    expect(statuses).toContain(0);
    // Late callers found no such task.
    expect(statuses.every((status) => status === 0 || status === 3)).toBe(true);
    expect((await task.ended).stdout).toBe('ready\nbye\n');
  });
});

describe('a task without an owner', () => {
  it('is ended with all its processes after its owner was killed', async () => {
    const task = await started('orphan', [
      'sh',
      '-c',
      'setsid sleep 1000 & echo ready; sleep 1000',
    ]);
    task.child.kill('SIGKILL');
    await task.ended;
    expect(await kill('orphan')).toMatchObject({ status: 0, stdout: 'orphan\n', stderr: '' });
    expect([existsSync(folderOf('orphan')), existsSync(scratchOf('orphan'))]).toEqual([
      false,
      false,
    ]);
  });

  it('is removed with its writable layer if it was kept', async () => {
    await run(['--name', 'kept', '--keep'], ['sh', '-c', 'echo data > /file']);
    await waitUntil(() => existsSync(scratchOf('kept')));
    expect(await kill('kept')).toMatchObject({ status: 0, stdout: 'kept\n' });
    expect([existsSync(folderOf('kept')), existsSync(scratchOf('kept'))]).toEqual([false, false]);
  });

  it.each([
    ['is not JSON', '{"version":1,'],
    ['lacks everything', '{}'],
    ['has another version', '{"version":99}'],
  ])('is removed even if its record %s', async (_, text) => {
    const task = await started('corrupt', WAITING);
    task.child.kill('SIGKILL');
    await task.ended;
    writeFileSync(`${folderOf('corrupt')}/record.json`, text);
    expect(await kill('corrupt')).toMatchObject({ status: 0, stdout: 'corrupt\n', stderr: '' });
    expect([existsSync(folderOf('corrupt')), existsSync(scratchOf('corrupt'))]).toEqual([
      false,
      false,
    ]);
  });

  it('is removed if it has no record at all', async () => {
    mkdirSync(folderOf('empty'));
    expect(await kill('empty')).toMatchObject({ status: 0, stdout: 'empty\n' });
    expect(existsSync(folderOf('empty'))).toBe(false);
  });
});

describe('several ids', () => {
  it('end every task given, and exit with the status of the first failure', async () => {
    const one = await started('one', WAITING);
    const two = await started('two', WAITING);
    const { status, stdout, stderr } = await kill('one', 'missing', 'two', 'one');
    expect(status).toBe(3);
    expect(stdout.trim().split('\n').sort()).toEqual(['one', 'two']);
    expect(stderr).toBe(
      'stackshim: kill task missing: no such task [ERR_STACKSHIM_TASK_NOT_FOUND]\n  hint: run stackshim ps -a to list the tasks; for a task of another installation, set its STACKSHIM_ROOT and STACKSHIM_RUN\n',
    );
    await Promise.all([one.ended, two.ended]);
  });

  it('end no task if one of them is not a valid id', async () => {
    const task = await started('sound', WAITING);
    expect(await kill('sound', 'not/an/id')).toMatchObject({ status: 2, stdout: '' });
    const { stdout } = await runCli(['ps', '--json'], { env });
    expect(JSON.parse(stdout)).toMatchObject({ tasks: [{ id: 'sound', state: 'running' }] });
    await kill('sound');
    await task.ended;
  });
});
