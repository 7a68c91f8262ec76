/** Kills everyone but the shim: the runtime, the task's pid 1, a process with many tasks, and concurrent reaps. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { taskCgroup } from '../../src/cgroup/cgroup-names.ts';
import type { TaskId } from '../../src/core/ids.ts';
import { openStackshim } from '../../src/index.ts';
import { isAlive, readProcess } from '../../src/sys/processes.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { type StartedTask, useTaskRunner } from '../support/cli/task-runner.ts';
import { realRunc, writeFakeRuntime } from '../support/runtimes/fake-runtime.ts';
import { isFullRun } from '../support/timing/full-run.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { installation, run, start, folder, setPolicy } = useTaskRunner();
const { layout, env } = installation;
const FOREVER = sh('echo ready; exec sleep 3600');

async function startReady(id: string): Promise<StartedTask> {
  const task = start(['--name', id], FOREVER);
  await task.printed('ready');
  return task;
}

async function kill(task: StartedTask): Promise<void> {
  task.child.kill('SIGKILL');
  await task.ended;
}

async function reap(): Promise<{
  reaped: { id: string; removed: boolean }[];
  status: number | null;
}> {
  const { status, stdout } = await runCli(['reap', '--json'], { env });
  return { ...JSON.parse(stdout), status };
}

async function pidOf(id: string): Promise<number> {
  const { stdout } = await runCli(['ps', '--json'], { env });
  return JSON.parse(stdout).tasks.find((task: { id: string }) => task.id === id).pid;
}

afterEach(async () => {
  setPolicy(null);
  expect(readdirSync(join(layout.run, 'tasks'))).toEqual([]);
  expect((await run([], ['true'])).status).toBe(0);
});

describe('SIGKILL of the runtime during create', () => {
  const DELAYS = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 27, 30];

  it.each(DELAYS)('after %i ms ends in setup_failed, and leaves nothing', async (ms) => {
    const path = join(folder, `killed-after-${ms}`);
    const killed = `"$REAL" "$@" & sleep ${ms / 1000}; kill -KILL $!; wait $! 2>/dev/null; exit 137`;
    writeFakeRuntime(path, { real: realRunc(layout), beforeCreate: killed });
    setPolicy({ allow: { runtimes: ['runc', path] } });
    const { status, record } = await run(['--runtime', path], ['true']);
    expect(status).toBe(125);
    expect(record).toMatchObject({
      verdict: 'setup_failed',
      retryable: true,
      removed: true,
      leftovers: [],
    });
  });
});

describe('a runtime that dies during create', () => {
  it('and leaves a process in one cgroup hierarchy only: that process is killed as well', async () => {
    const group = `${taskCgroup(layout, 'half' as TaskId)}`;
    // On a host with cgroup v2 alone there is one hierarchy.
    const place = existsSync('/sys/fs/cgroup/memory') ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup';
    const path = join(folder, 'half-way');
    const stray = `mkdir -p ${place}${group}; setsid sleep 3600 & echo $! > ${place}${group}/cgroup.procs; exit 1`;
    writeFakeRuntime(path, { real: realRunc(layout), beforeCreate: stray });
    setPolicy({ allow: { runtimes: ['runc', path] } });
    const { status, record } = await run(['--name', 'half', '--runtime', path], ['true']);
    expect(status).toBe(125);
    expect(record).toMatchObject({ verdict: 'setup_failed', removed: true, leftovers: [] });
  });
});

describe('SIGKILL of the task’s pid 1 from outside', () => {
  it('ends the task as signaled', async () => {
    const task = await startReady('victim');
    process.kill(await pidOf('victim'), 'SIGKILL');
    const { status, record } = await task.ended;
    expect(status).toBe(137);
    expect(record).toMatchObject({ verdict: 'signaled', signal: 'SIGKILL', removed: true });
  });

  it('after the death of the shim leaves the rest to reap', async () => {
    const task = await startReady('orphan');
    const pid = await pidOf('orphan');
    await kill(task);
    process.kill(pid, 'SIGKILL');
    expect(await reap()).toMatchObject({ status: 0, reaped: [{ id: 'orphan', removed: true }] });
  });
});

describe('reap', () => {
  it('leaves tasks alone while their shim lives, even if the shim is stopped', async () => {
    const running = await startReady('running');
    const stopped = await startReady('stopped');
    stopped.child.kill('SIGSTOP');
    expect(await reap()).toMatchObject({ status: 0, reaped: [] });
    stopped.child.kill('SIGCONT');
    for (const task of [running, stopped]) task.child.kill('SIGTERM');
    for (const task of [running, stopped]) {
      expect(await task.ended).toMatchObject({ status: 143, record: { removed: true } });
    }
  });

  it('removes each task exactly once when several run at the same time', async () => {
    const ids = ['dead-1', 'dead-2', 'dead-3', 'dead-4', 'dead-5', 'dead-6'];
    for (const task of await Promise.all(ids.map(startReady))) await kill(task);
    const alive = await startReady('alive');
    const reports = await Promise.all([reap(), reap(), reap(), reap()]);
    const reaped = reports.flatMap((report) => report.reaped);
    expect(reports.map(({ status }) => status)).toEqual([0, 0, 0, 0]);
    expect(reaped.map(({ id }) => id).sort()).toEqual(ids);
    expect(reaped.every(({ removed }) => removed)).toBe(true);
    alive.child.kill('SIGTERM');
    expect(await alive.ended).toMatchObject({ status: 143 });
  });

  it('continues where a killed reap stopped', async () => {
    const ids = ['half-1', 'half-2', 'half-3', 'half-4'];
    for (const task of await Promise.all(ids.map(startReady))) await kill(task);
    const killed = spawn('timeout', ['-s', 'KILL', '0.03', 'dist/stackshim', 'reap'], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      env: { ...process.env, ...env },
      stdio: 'ignore',
    });
    await once(killed, 'close');
    const { status, reaped } = await reap();
    expect(status).toBe(0);
    expect(reaped.every(({ removed }) => removed)).toBe(true);
  });
});

describe('SIGKILL of a process that runs many tasks through the library', () => {
  /** In the full run, more than reap removes at the same time. */
  const count = isFullRun ? 300 : 20;

  async function runMany(): Promise<void> {
    const script = fileURLToPath(new URL('../fixtures/run-many.mjs', import.meta.url));
    const worker = spawn(process.execPath, [script, String(count)], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(createInterface({ input: worker.stdout }), 'line');
    expect(line).toBe('all are running');
    worker.kill('SIGKILL');
    await once(worker, 'close');
  }

  it('leaves tasks that one reap removes all together', { timeout: scaled(300_000) }, async () => {
    await runMany();
    const { status, reaped } = await reap();
    expect(status).toBe(0);
    expect(reaped).toHaveLength(count);
    expect(reaped.every(({ removed }) => removed)).toBe(true);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(`${layout.run}/tasks/`);
  });

  it('leaves tasks that reap ends before it removes the first one', {
    timeout: scaled(300_000),
  }, async () => {
    await runMany();
    const stackshim = openStackshim(installation.options);
    const { tasks } = await stackshim.list();
    const inits = tasks.flatMap(({ pid }) => readProcess(pid ?? 0) ?? []);
    expect(inits).toHaveLength(count);
    const names = () => readdirSync(join(layout.run, 'tasks')).length;
    const reaping = stackshim.reap();
    await waitUntil(() => names() < count);
    expect(inits.filter(isAlive)).toEqual([]);
    expect((await reaping).reaped).toHaveLength(count);
  });
});
