/** `stackshim reap` removes what dead owners left, and nothing else. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { taskDir, taskScratchDir, tasksDir } from '../../src/core/layout.ts';
import { runCli, startCli } from '../support/cli/run-cli.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { installation, run, start } = useTaskRunner();
const { env, layout } = installation;

const reap = (...args: readonly string[]) => runCli(['reap', ...args], { env });
const folderOf = (id: string) => taskDir(layout, parseTaskId(id));
const scratchOf = (id: string) => taskScratchDir(layout, parseTaskId(id));
const WAITING = ['sh', '-c', 'echo ready; exec sleep 1000'];

/** A task that continues after its owner was killed. */
async function orphan(id: string): Promise<void> {
  const task = start(['--name', id], WAITING);
  await task.printed('ready');
  task.child.kill('SIGKILL');
  await task.ended;
}

it('prints nothing when there is nothing to reap', async () => {
  expect(await reap()).toMatchObject({ status: 0, stdout: '', stderr: '' });
  const { status, stdout } = await reap('--json');
  expect({ status, report: JSON.parse(stdout) }).toEqual({
    status: 0,
    report: { reaped: [], corrupt: [] },
  });
});

it('removes the tasks of dead owners, and no others', async () => {
  await orphan('left-1');
  await orphan('left-2');
  await run(['--name', 'kept', '--keep'], ['true']);
  const living = start(['--name', 'living'], WAITING);
  await living.printed('ready');
  expect(await reap()).toMatchObject({ status: 0, stdout: 'left-1\nleft-2\n', stderr: '' });
  const { stdout } = await runCli(['ps', '--json'], { env });
  expect(JSON.parse(stdout).tasks).toMatchObject([
    { id: 'kept', state: 'kept' },
    { id: 'living', state: 'running' },
  ]);
  await runCli(['kill', 'kept', 'living'], { env });
  expect((await living.ended).record).toMatchObject({ ...CLEAN, verdict: 'cancelled' });
});

it('removes what prevented the removal of a task, as the task’s result reported it', async () => {
  const task = start(['--name', 'mounted'], WAITING);
  await task.printed('ready');
  const mountPoint = `${scratchOf('mounted')}/in`;
  mkdirSync(mountPoint);
  execFileSync('mount', ['-t', 'tmpfs', 'stranger', mountPoint]);
  task.child.kill('SIGTERM');
  const { status, stderr, record } = await task.ended;
  expect(status).toBe(143);
  // The path, then the message of rm(1), which varies between versions.
  const leftover = `${scratchOf('mounted')}: .*${mountPoint}.+`;
  expect(stderr).toMatch(
    new RegExp(`^stackshim: task mounted is not removed: ${leftover}.*\n  hint`),
  );
  expect(record).toMatchObject({ verdict: 'cancelled', removed: false });
  expect(record?.leftovers).toContainEqual(expect.stringMatching(new RegExp(`^${leftover}$`)));
  expect(await reap()).toMatchObject({ status: 0, stdout: 'mounted\n', stderr: '' });
});

it('reports as JSON what it did', async () => {
  await orphan('left');
  const { status, stdout } = await reap('--json');
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    reaped: [{ id: 'left', removed: true, leftovers: [] }],
    corrupt: [],
  });
});

it('shares the work with other reaps that run at the same time', async () => {
  await Promise.all(['a', 'b', 'c'].map(orphan));
  const reports = await Promise.all([reap('--json'), reap('--json'), reap('--json')]);
  const reaped = reports.flatMap(({ stdout }) => JSON.parse(stdout).reaped);
  expect(reaped.map(({ id }) => id).sort()).toEqual(['a', 'b', 'c']);
  expect(reaped.every(({ removed }) => removed)).toBe(true);
  expect(reports.map(({ status }) => status)).toEqual([0, 0, 0]);
});

it('removes folders whose process died while it was making or removing them', async () => {
  const unfinished = `${tasksDir(layout)}/.new-4000000-1-half`;
  mkdirSync(unfinished);
  writeFileSync(`${unfinished}/record.json`, '');
  expect(await reap()).toMatchObject({ status: 0, stdout: '' });
  expect(existsSync(unfinished)).toBe(false);
});

it('removes writable layers that belong to no task', async () => {
  mkdirSync(`${scratchOf('gone')}/upper`, { recursive: true });
  expect(await reap()).toMatchObject({ status: 0 });
  expect(existsSync(scratchOf('gone'))).toBe(false);
});

it('reports a record that cannot be read, leaves its task alone, and reaps the other tasks', async () => {
  mkdirSync(folderOf('broken'), { recursive: true });
  writeFileSync(`${folderOf('broken')}/record.json`, 'nonsense');
  await orphan('left');
  const { status, stdout, stderr } = await reap();
  expect({ status, stdout }).toEqual({ status: 1, stdout: 'left\n' });
  expect(stderr).toContain('[ERR_STACKSHIM_RECORD_CORRUPT]');
  expect(existsSync(folderOf('broken'))).toBe(true);
  rmSync(folderOf('broken'), { recursive: true });
});

describe('--wait', () => {
  it('reaps a task as soon as its owner dies', async () => {
    const task = start(['--name', 'awaited'], WAITING);
    await task.printed('ready');
    const reaping = startCli(['reap', '--wait', 'awaited'], { env });
    task.child.kill('SIGKILL');
    expect(await reaping.ended).toMatchObject({ status: 0, stdout: 'awaited\n', stderr: '' });
    await task.ended;
    expect(existsSync(folderOf('awaited'))).toBe(false);
  });

  it('does not wait for a task that does not exist', async () => {
    expect(await reap('--wait', 'missing')).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });
});

describe('run --remove async', () => {
  it('leaves the removal to another process', async () => {
    const { status, record } = await run(
      ['--name', 'later', '--remove', 'async'],
      ['sh', '-c', 'echo data > /file; exit 3'],
    );
    expect(status).toBe(3);
    expect(record).toMatchObject({ verdict: 'failed', exitCode: 3, removed: false });
    await waitUntil(() => !existsSync(folderOf('later')));
    expect(existsSync(scratchOf('later'))).toBe(false);
  });
});
