/** Owners whose pid now belongs to another process, and a wall clock that jumps: no process is mistaken for an owner, and no limit moves. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { taskDir, tasksDir } from '../../src/core/layout.ts';
import { runTask } from '../../src/door/open-stackshim.ts';
import { isAlive, type ProcessInfo, readProcess } from '../../src/sys/processes.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';

const { installation, start } = useTaskRunner();
const { layout, env, options } = installation;
let sleeper: ChildProcess;
let foreign: ProcessInfo;

beforeAll(async () => {
  sleeper = spawn('sleep', ['1000'], { stdio: 'ignore' });
  await once(sleeper, 'spawn');
  foreign = readProcess(sleeper.pid ?? 0) ?? expect.fail('no process');
});
afterAll(async () => {
  sleeper.kill();
  await once(sleeper, 'exit');
});

it('reap removes a task whose owner’s pid now belongs to a foreign process, and leaves that process alone', async () => {
  const task = start(['--name', 'reused'], ['sh', '-c', 'echo ready; exec sleep 1000']);
  await task.printed('ready');
  task.child.kill('SIGKILL');
  await task.ended;
  const file = `${taskDir(layout, parseTaskId('reused'))}/record.json`;
  const record = JSON.parse(readFileSync(file, 'utf8'));
  record.owner.pid = foreign.pid;
  writeFileSync(file, JSON.stringify(record));
  expect(await runCli(['reap'], { env })).toMatchObject({ status: 0, stdout: 'reused\n' });
  expect(isAlive(foreign)).toBe(true);
});

it('kill never signals a process that got the pid of an owner from before the reboot', async () => {
  const task = start(['--name', 'rebooted'], ['sh', '-c', 'echo ready; exec sleep 1000']);
  await task.printed('ready');
  task.child.kill('SIGKILL');
  await task.ended;
  const file = `${taskDir(layout, parseTaskId('rebooted'))}/record.json`;
  const record = JSON.parse(readFileSync(file, 'utf8'));
  const { pid, startTime } = foreign;
  writeFileSync(file, JSON.stringify({ ...record, owner: { pid, startTime, bootId: 'another' } }));
  expect(await runCli(['kill', 'rebooted'], { env })).toMatchObject({ status: 0 });
  expect(isAlive(foreign)).toBe(true);
});

it('reap keeps the folder of a task that a living process is preparing, and removes the folder of an earlier process with that pid', async () => {
  const maker = spawn('sleep', ['1000'], { stdio: 'ignore' });
  await once(maker, 'spawn');
  const { pid, startTime } = readProcess(maker.pid ?? 0) ?? expect.fail('no process');
  const own = `${tasksDir(layout)}/.new-${pid}-${startTime}-making`;
  const old = `${tasksDir(layout)}/.new-${pid}-${startTime - 1}-left`;
  for (const folder of [own, old]) mkdirSync(folder, { recursive: true });
  expect(await runCli(['reap'], { env })).toMatchObject({ status: 0 });
  expect([existsSync(own), existsSync(old)]).toEqual([true, false]);
  maker.kill('SIGKILL');
  await once(maker, 'exit');
  expect(await runCli(['reap'], { env })).toMatchObject({ status: 0 });
  expect(existsSync(own)).toBe(false);
});

it.each([
  ['forwards', 400 * 24 * 3_600_000],
  ['backwards', -400 * 24 * 3_600_000],
])('limits and times stay correct when the wall clock jumps %s', async (_, jumpMs) => {
  const now = Date.now.bind(Date);
  const clock = vi.spyOn(Date, 'now');
  try {
    const jump = () => clock.mockImplementation(() => now() + jumpMs);
    const { verdict, usage } = await runTask(
      { stack: 'busybox', command: ['sh', '-c', 'sleep 0.2; exit 0'], timeout: '60s' },
      {
        ...options,
        deadline: Date.now() + 60_000,
        onEvent: ({ type }) => type === 'started' && jump(),
      },
    );
    expect(verdict).toBe('succeeded');
    expect(usage.wallMs).toBeGreaterThanOrEqual(200);
    expect(usage.wallMs).toBeLessThan(60_000);
    const late = await runTask(
      { stack: 'busybox', command: ['sleep', '1000'], timeout: '300ms' },
      options,
    );
    expect(late.verdict).toBe('timed_out');
  } finally {
    clock.mockRestore();
  }
});
