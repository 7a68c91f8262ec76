/** A keeper is killed, or its disk is full: nobody is told a wrong result, and one `reap` leaves nothing but the report. */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { reportDir, reportsDir, taskDir } from '../../src/core/layout.ts';
import { runCli, startCli } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { installation } = useTaskRunner();
const { env, layout } = installation;

const cli = (...args: readonly string[]) => runCli(args, { env });
const detach = (id: string, script: string, ...options: readonly string[]) =>
  cli('run', '-d', '--name', id, ...options, 'busybox', 'sh', '-c', script);

async function inspect(id: string) {
  const [found] = JSON.parse((await cli('inspect', id)).stdout);
  return found;
}

async function killKeeper(id: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  const { pid } = (await inspect(id)).record.owner;
  process.kill(pid, signal);
  await waitUntil(() => !existsSync(`/proc/${pid}`));
}

afterEach(async () => {
  await cli('reap');
  const { stdout } = await cli('ps', '-a', '-q');
  const ids = stdout.split('\n').filter((id) => id !== '');
  if (ids.length > 0) await cli('rm', '-f', ...ids);
});

it('a task whose keeper was killed is orphaned, and its result is lost', async () => {
  await detach('left', 'echo before; exec sleep 1000');
  await waitUntil(async () => (await cli('logs', 'left')).stdout === 'before\n');
  await killKeeper('left');
  expect(await inspect('left')).toMatchObject({ state: 'orphaned', result: null });
  const waited = await cli('wait', 'left');
  expect(waited).toMatchObject({ status: 4, stdout: '' });
  expect(waited.stderr).toContain('wait for task left: it is orphaned: its owner has died');
  expect(await cli('logs', '-f', 'left')).toMatchObject({ status: 0, stdout: 'before\n' });
  const removed = await cli('rm', 'left');
  expect(removed.status).toBe(4);
  expect(removed.stderr).toContain('remove task left: it is orphaned: its owner has died');
  expect(await cli('reap')).toMatchObject({ status: 0, stdout: 'left\n' });
  expect(existsSync(taskDir(layout, parseTaskId('left')))).toBe(false);
  expect(await inspect('left')).toMatchObject({ state: 'lost', result: null, exit: null });
  const later = await cli('wait', 'left');
  expect(later).toMatchObject({ status: 1, stdout: '' });
  expect(later.stderr).toContain('[ERR_STACKSHIM_TASK_RESULT_UNKNOWN]');
  expect((await cli('ps', '-a')).stdout).toContain(' lost ');
  expect(await cli('logs', 'left')).toMatchObject({ status: 0, stdout: 'before\n' });
  expect(await cli('rm', 'left')).toMatchObject({ status: 0 });
});

it('somebody who waits is told when the keeper is killed', async () => {
  await detach('waited', 'exec sleep 1000');
  const [waiting, following] = [
    startCli(['wait', 'waited'], { env }),
    startCli(['logs', '-f', 'waited'], { env }),
  ];
  await killKeeper('waited');
  expect((await waiting.ended).status).toBe(4);
  expect((await following.ended).status).toBe(0);
});

it('a keeper that is asked to end stops its task and stores the result', async () => {
  await detach('stopped', 'trap "echo bye; exit 5" TERM; echo up; while :; do sleep 0.1; done');
  await waitUntil(async () => (await cli('logs', 'stopped')).stdout === 'up\n');
  await killKeeper('stopped', 'SIGTERM');
  expect(await inspect('stopped')).toMatchObject({
    state: 'ended',
    result: { verdict: 'cancelled', exitCode: 5, removed: true },
  });
  expect((await cli('logs', 'stopped')).stdout).toBe('up\nbye\n');
});

it('after a reboot, which clears the run folder, the report tells that the result is lost', async () => {
  await detach('before', 'exec sleep 1000');
  await killKeeper('before');
  await cli('reap');
  rmSync(`${reportDir(layout, parseTaskId('before'))}/end.json`);
  expect(await inspect('before')).toMatchObject({ state: 'lost', result: null });
  expect((await cli('ps', '-a')).stdout).toContain(' lost ');
});

it('keepers that are killed at any moment leave nothing that one reap does not remove', async () => {
  for (let round = 0; round < 12; round += 1) {
    const id = `round-${round}`;
    const started = startCli(['run', '-d', '--name', id, 'busybox', 'sh', '-c', 'sleep 0.2'], {
      env,
    });
    const owner = await waitUntil(async () => {
      const { status, stdout } = await cli('inspect', id);
      const pid = status === 0 ? JSON.parse(stdout)[0].record?.owner.pid : undefined;
      return pid ?? (started.child.exitCode === null ? undefined : 'none');
    });
    if (owner !== 'none') {
      try {
        process.kill(owner, 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
    const { status } = await started.ended;
    expect([0, 125]).toContain(status);
    await cli('reap');
    const { stdout } = await cli('ps', '--json');
    expect(JSON.parse(stdout).tasks).toEqual([]);
  }
  const { ended, corrupt } = JSON.parse((await cli('ps', '-a', '--json')).stdout);
  expect(corrupt).toEqual([]);
  for (const { state, result } of ended) {
    if (state === 'ended') expect(result).toMatchObject({ verdict: 'succeeded' });
    else expect(result).toBeNull();
  }
});

it('a damaged report is told, and can be removed', async () => {
  await cli('run', '--log', '--name', 'bad', 'busybox', 'true');
  writeFileSync(`${reportDir(layout, parseTaskId('bad'))}/end.json`, 'nonsense');
  for (const command of ['wait', 'inspect']) {
    const { status, stderr } = await cli(command, 'bad');
    expect(status).toBe(1);
    expect(stderr).toContain('[ERR_STACKSHIM_RECORD_CORRUPT]');
  }
  expect((await cli('ps', '-a')).status).toBe(1);
  expect(await cli('rm', 'bad')).toMatchObject({ status: 0, stdout: 'bad\n' });
  expect(readdirSync(reportsDir(layout)).filter((name) => name !== '.looked')).toEqual([]);
});
