/** `run -d` and what it leaves: the keeper, `logs`, `wait`, `inspect`, `ps -a` and `rm`. */
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { reportDir, reportsDir } from '../../src/core/layout.ts';
import { runCli, STACKSHIM, startCli } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { openTerminalSession } from '../support/cli/terminal-session.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const runner = useTaskRunner();
const { installation, folder } = runner;
const { env, layout } = installation;

const cli = (...args: readonly string[]) => runCli(args, { env });
const sh = (script: string) => ['busybox', 'sh', '-c', script];
const detach = (...args: readonly string[]) => cli('run', '-d', ...args);
const reportOf = (id: string) => reportDir(layout, parseTaskId(id));

interface Keeper {
  readonly pid: number;
}

async function ownerOf(id: string): Promise<Keeper> {
  const { stdout } = await cli('inspect', id);
  const [{ record }] = JSON.parse(stdout);
  return { pid: record.owner.pid };
}

const hasEnded =
  ({ pid }: Keeper) =>
  () =>
    !existsSync(`/proc/${pid}`);

afterEach(async () => {
  const { stdout } = await cli('ps', '-a', '-q');
  const ids = stdout.split('\n').filter((id) => id !== '');
  if (ids.length > 0) await cli('rm', '--force', ...ids);
  expect(readdirSync(reportsDir(layout)).filter((name) => name !== '.looked')).toEqual([]);
});

describe('run -d', () => {
  it('prints the id of a task that goes on, and a keeper stores its end', async () => {
    const started = await detach(
      ...sh('echo out; echo err >&2; read line < /proc/self/fd/0; exit 7'),
    );
    expect(started).toMatchObject({ status: 0, stderr: '' });
    const id = started.stdout.trim();
    expect(await cli('wait', id)).toMatchObject({ status: 0, stdout: '7\n', stderr: '' });
    expect(await cli('logs', id)).toMatchObject({ status: 0, stdout: 'out\n', stderr: 'err\n' });
    const [inspected] = JSON.parse((await cli('inspect', id)).stdout);
    expect(inspected).toMatchObject({
      id,
      state: 'ended',
      record: null,
      result: { id, verdict: 'failed', exitCode: 7, removed: true, output: { stdoutBytes: 4 } },
      spec: { log: true, limits: { memoryBytes: 536_870_912 } },
    });
    expect(await cli('rm', id)).toMatchObject({ status: 0, stdout: `${id}\n` });
    expect(await cli('wait', id)).toMatchObject({ status: 3, stdout: '' });
  });

  it('leaves a keeper with its own session, no terminal and nothing open that its starter had', async () => {
    const { stdout } = await detach('--name', 'kept-away', ...sh('sleep 1000'));
    expect(stdout).toBe('kept-away\n');
    const keeper = await ownerOf('kept-away');
    const [, , , pgrp, session, tty] = statFields(keeper.pid);
    expect([pgrp, session, tty]).toEqual([String(keeper.pid), String(keeper.pid), '0']);
    expect(readlinkSync(`/proc/${keeper.pid}/cwd`)).toBe('/');
    const open = readdirSync(`/proc/${keeper.pid}/fd`).map((fd) =>
      readlinkSync(`/proc/${keeper.pid}/fd/${fd}`),
    );
    expect(open.filter((path) => path.startsWith(folder) || path.startsWith('/dev/pts'))).toEqual(
      [],
    );
    expect(await cli('kill', 'kept-away')).toMatchObject({ status: 0 });
    expect(await cli('wait', 'kept-away')).toMatchObject({ stdout: '143\n' });
    await waitUntil(hasEnded(keeper));
  });

  it('ends its keeper right after the task', async () => {
    await detach('--name', 'short', ...sh('sleep 1'));
    const keeper = await ownerOf('short');
    expect(await cli('wait', 'short')).toMatchObject({ stdout: '0\n' });
    await waitUntil(hasEnded(keeper));
  });

  it('is not reached by Ctrl-C or by the end of the terminal', async () => {
    const session = openTerminalSession(
      `${STACKSHIM} run -d --name away busybox sh -c 'sleep 1000'; read line`,
      env,
    );
    await session.shown('away');
    session.type('\u0003');
    session.hangUp();
    await session.ended;
    const { stdout } = await cli('ps', '--format', 'json');
    expect(JSON.parse(stdout).tasks).toMatchObject([{ id: 'away', state: 'running' }]);
    await cli('kill', 'away');
  });

  it.each([
    ['no such stack', ['run', '-d', 'nothing', 'true'], 125, 'ERR_STACKSHIM_STACK_NOT_FOUND'],
    ['a denied limit', ['run', '-d', '-m', '9000g', 'busybox', 'true'], 125, '--memory'],
    [
      'no such command',
      ['run', '-d', 'busybox', 'nothing'],
      127,
      'ERR_STACKSHIM_COMMAND_NOT_FOUND',
    ],
    ['a command that is a folder', ['run', '-d', 'busybox', '/etc'], 126, '_NOT_EXECUTABLE'],
    ['--json', ['run', '-d', '--json', 'busybox', 'true'], 125, '--json: not with --detach'],
    ['-i', ['run', '-d', '-i', 'busybox', 'true'], 125, '--interactive: not with --detach'],
    ['--result', ['run', '-d', '--result', '/x', 'busybox', 'true'], 125, 'not with --detach'],
  ])('tells what keeps the command from beginning: %s', async (_, args, expected, text) => {
    const { status, stdout, stderr } = await cli(...args);
    expect({ status, stdout }).toEqual({ status: expected, stdout: '' });
    expect(stderr).toContain(text);
    // Nobody knows an id, so nothing stays.
    expect(JSON.parse((await cli('ps', '-a', '--json')).stdout)).toEqual({
      tasks: [],
      ended: [],
      corrupt: [],
    });
  });

  it('resolves relative paths where it was called, and leaves that place', async () => {
    const { stdout } = await runCli(
      ['run', '-d', '-v', '.:/here:ro', ...sh('ls -d /here; sleep 5')],
      {
        env,
        cwd: folder,
      },
    );
    const id = stdout.trim();
    const keeper = await ownerOf(id);
    expect(readlinkSync(`/proc/${keeper.pid}/cwd`)).toBe('/');
    await waitUntil(async () => (await cli('logs', id)).stdout === '/here\n');
    await cli('kill', '--stop-timeout', '0', id);
  });

  it('gives the task a terminal that nobody types into', async () => {
    await detach('-t', '--name', 'on-tty', ...sh('test -t 0 && test -t 1 && echo tty; stty size'));
    expect((await cli('wait', 'on-tty')).stdout).toBe('0\n');
    expect((await cli('logs', 'on-tty')).stdout).toBe('tty\r\n24 80\r\n');
  });

  it('cancels the task if its caller goes before the command has begun', async () => {
    const started = startCli(['run', '-d', '--name', 'gone', ...sh('sleep 1000')], { env });
    started.child.kill('SIGKILL');
    await started.ended;
    // Whatever the moment was: the task runs, or nothing of it is left.
    await waitUntil(async () => {
      const { tasks, ended } = JSON.parse((await cli('ps', '-a', '--json')).stdout);
      const isGone = tasks.length === 0 && ended.length === 0;
      return isGone || tasks[0]?.state === 'running' || ended.length > 0;
    });
  });

  it('refuses the id of an ended task, as docker does', async () => {
    await detach('--name', 'twice', ...sh('true'));
    await cli('wait', 'twice');
    for (const how of [['-d'], ['--log'], []]) {
      const { status, stderr } = await cli('run', ...how, '--name', 'twice', ...sh('true'));
      expect(status).toBe(125);
      expect(stderr).toContain(
        'an ended task with this id has left its result [ERR_STACKSHIM_TASK_CONFLICT]',
      );
      expect(stderr).toContain('stackshim rm twice');
    }
    await cli('rm', 'twice');
    expect(await cli('run', '--name', 'twice', ...sh('true'))).toMatchObject({ status: 0 });
  });

  it('stores a result of every kind', async () => {
    const memory = ['-m', '16m', '--name', 'memory', ...sh('head -c 100m /dev/zero | tail')];
    await detach(...memory);
    await detach('--timeout', '1s', '--name', 'late', ...sh('sleep 100'));
    await detach('--name', 'kept', '--keep', ...sh('echo x > /file'));
    await detach('--name', 'async', '--remove', 'async', ...sh('exit 3'));
    const { stdout } = await cli('wait', 'memory', 'late', 'kept', 'async');
    expect(stdout).toBe('137\n124\n0\n3\n');
    const { stdout: table } = await cli('ps', '-a');
    for (const state of ['oom_killed', 'timed_out', 'kept', 'failed (3)']) {
      expect(table).toContain(` ${state} `);
    }
    const [{ result }] = JSON.parse((await cli('inspect', 'async')).stdout);
    expect(result).toMatchObject({ removed: true, leftovers: [] });
    // A kept task is removed together with its report.
    expect(await cli('rm', 'kept')).toMatchObject({ status: 0, stdout: 'kept\n' });
  });
});

/** Fields of /proc/PID/stat from the third on, which is the state. */
function statFields(pid: number): readonly string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return ['', ...text.slice(text.lastIndexOf(')') + 2).split(' ')];
}

describe('--log of a task in the foreground', () => {
  it('keeps the output while it runs and after its end', async () => {
    const task = startCli(
      [
        'run',
        '--log',
        '--name',
        'here',
        ...sh('echo first; while ! [ -e /go ]; do sleep 0.1; done'),
      ],
      { env },
    );
    await task.printed('first');
    await waitUntil(async () => (await cli('logs', 'here')).stdout === 'first\n');
    await cli('kill', '--stop-timeout', '0', 'here');
    expect((await task.ended).stdout).toBe('first\n');
    expect(await cli('logs', 'here')).toMatchObject({ status: 0, stdout: 'first\n' });
    expect(await cli('wait', 'here')).toMatchObject({ stdout: '143\n' });
  });

  it('keeps files and folders for root alone', async () => {
    await cli('run', '--log', '--name', 'mine', '-e', 'SECRET=1', ...sh('true'));
    expect(statSync(reportsDir(layout)).mode & 0o7777).toBe(0o700);
    expect(statSync(reportOf('mine')).mode & 0o7777).toBe(0o700);
    for (const name of readdirSync(reportOf('mine'))) {
      expect(statSync(`${reportOf('mine')}/${name}`).mode & 0o7777).toBe(0o600);
    }
  });

  it('leaves the result with --json as it was, and tells about the log', async () => {
    const { stdout } = await cli('run', '--log', '--json', ...sh('echo text'));
    const { id, output } = JSON.parse(stdout);
    expect(output).toMatchObject({
      stdout: 'text\n',
      log: { bytes: 5, droppedBytes: 0, lostBytes: 0, error: null },
    });
    const [{ result }] = JSON.parse((await cli('inspect', id)).stdout);
    expect(result.output).toMatchObject({ log: { bytes: 5 } });
    expect(result.output.stdout).toBeUndefined();
  });
});

describe('logs', () => {
  it('prints both streams in order, the last lines, times, and newer output', async () => {
    const script = 'for i in 1 2 3 4 5; do echo "line $i"; done; echo oops >&2; printf "no end"';
    await cli('run', '--log', '--name', 'lines', ...sh(script));
    const all = 'line 1\nline 2\nline 3\nline 4\nline 5\nno end';
    expect(await cli('logs', 'lines')).toMatchObject({ stdout: all, stderr: 'oops\n' });
    expect((await cli('logs', '--tail', '0', 'lines')).stdout).toBe('');
    const three = await cli('logs', '-n', '3', 'lines');
    expect(`${three.stdout}${three.stderr}`.replace('line 4\n', '')).toBe('line 5\nno endoops\n');
    const { stdout } = await cli('logs', '-t', 'lines');
    const lines = stdout.split('\n');
    expect(lines).toHaveLength(6);
    for (const line of lines) expect(line).toMatch(/^20\d\d-\d\d-\d\dT[\d:.]+Z (line \d|no end)$/);
    expect((await cli('logs', '--since', '1h', 'lines')).stdout).toBe(all);
    expect((await cli('logs', '--since', '2200-01-01T00:00:00Z', 'lines')).stdout).toBe('');
  });

  it('keeps bytes that are no text', async () => {
    await cli('run', '--log', '--name', 'bytes', ...sh("printf '\\000\\377\\012\\200'"));
    expect((await cli('logs', 'bytes')).stdoutBytes).toEqual(Buffer.from([0, 255, 10, 128]));
  });

  it('follows a task to its end', async () => {
    await detach(
      '--name',
      'grows',
      ...sh('for i in 1 2 3; do echo $i; sleep 0.3; done; echo end >&2'),
    );
    expect(await cli('logs', '-f', 'grows')).toMatchObject({
      status: 0,
      stdout: '1\n2\n3\n',
      stderr: 'end\n',
    });
    expect((await cli('logs', '-f', '--tail', '1', 'grows')).stderr).toBe('end\n');
  });

  it('follows a task of the run folder whose root folder is another one', async () => {
    await detach('--name', 'elsewhere', ...sh('echo 1; sleep 1; echo 2'));
    const other = { ...env, STACKSHIM_ROOT: join(folder, 'other-root') };
    const { stdout } = await runCli(['logs', '-f', 'elsewhere'], { env: other });
    expect(stdout).toBe('1\n2\n');
  });

  it('ends quietly when its reader goes', async () => {
    await cli('run', '--log', '--name', 'long', ...sh('seq 100000'));
    const { status, stdout } = await runCli(['logs', 'long'], {
      env,
      through: ['sh', '-c', 'set -o pipefail; "$@" | head -n 1', 'sh'],
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '1\n' });
  });

  it('drops the oldest output beyond the bound of the policy', async () => {
    const { setPolicy } = runner;
    setPolicy({ reports: { log: '256k' } });
    await cli('run', '--log', '--name', 'much', ...sh('seq 200000; echo last'));
    setPolicy(null);
    const { stdout } = await cli('logs', 'much');
    expect(stdout.endsWith('200000\nlast\n')).toBe(true);
    expect(stdout.length).toBeLessThan(262_144);
    const [{ result }] = JSON.parse((await cli('inspect', 'much')).stdout);
    const { log, stdoutBytes } = result.output;
    expect(log.bytes).toBe(stdout.length);
    expect(log.bytes + log.droppedBytes).toBe(stdoutBytes);
  });
});

describe('bad input', () => {
  const commands = ['logs', 'wait', 'inspect', 'rm'];

  it.each(commands)('%s of an unknown task exits with 3, of an invalid id with 2', async (name) => {
    const unknown = await cli(name, 'unknown');
    expect(unknown.status).toBe(3);
    expect(unknown.stderr).toContain('[ERR_STACKSHIM_TASK_NOT_FOUND]');
    expect(unknown.stdout).toBe(name === 'inspect' ? '[]\n' : '');
    expect(await cli(name, '../escape')).toMatchObject({ status: 2, stdout: '' });
    expect(await cli(name)).toMatchObject({ status: 2, stdout: '' });
  });

  it('tells about the other tasks nevertheless', async () => {
    await cli('run', '--log', '--name', 'good', ...sh('exit 4'));
    expect(await cli('wait', 'unknown', 'good')).toMatchObject({ status: 3, stdout: '4\n' });
    const { status, stdout } = await cli('inspect', 'unknown', 'good');
    expect({ status, ids: JSON.parse(stdout).map(({ id }: { id: string }) => id) }).toEqual({
      status: 3,
      ids: ['good'],
    });
    expect(await cli('rm', 'unknown', 'good')).toMatchObject({ status: 3, stdout: 'good\n' });
  });

  it('a task without a log has none, and its result is its owner’s', async () => {
    const task = startCli(['run', '--name', 'plain', ...sh('echo up; exec sleep 1000')], { env });
    await task.printed('up');
    const { status, stderr } = await cli('logs', 'plain');
    expect(status).toBe(4);
    expect(stderr).toContain(
      'read log of task plain: it keeps no log [ERR_STACKSHIM_TASK_CONFLICT]',
    );
    const [inspected] = JSON.parse((await cli('inspect', 'plain')).stdout);
    expect(inspected).toMatchObject({
      state: 'running',
      report: null,
      spec: { command: ['sh', '-c', 'echo up; exec sleep 1000'], limits: { pids: 256, cpus: 1 } },
      result: null,
      record: { id: 'plain' },
      config: { process: { args: ['sh', '-c', 'echo up; exec sleep 1000'] } },
    });
    expect(inspected.cgroup.folders.length).toBeGreaterThan(0);
    expect(inspected.cgroup.usage.pidsPeak).not.toBeUndefined();
    expect(inspected.timeLeftMs).toBeGreaterThan(0);
    expect((await cli('rm', 'plain')).stderr).toContain(
      'remove task plain: it is running [ERR_STACKSHIM_TASK_CONFLICT]',
    );
    expect(await cli('rm', '-f', 'plain')).toMatchObject({ status: 0, stdout: 'plain\n' });
    await task.ended;
  });

  it.each([
    ['--tail', '-1'],
    ['--tail', 'some'],
    ['--since', 'yesterday'],
    ['--since', '2026-13-01'],
  ])('logs %s %s is refused', async (option, value) => {
    expect(await cli('logs', `${option}=${value}`, 'any')).toMatchObject({ status: 2 });
  });
});

describe('gc', () => {
  it('removes reports beyond the bounds, and later tasks do so, too', async () => {
    const { setPolicy } = runner;
    for (const id of ['one', 'two', 'three'])
      await cli('run', '--log', '--name', id, ...sh('true'));
    setPolicy({ reports: { count: 2 } });
    const dry = JSON.parse((await cli('gc', '--dry-run', '--json')).stdout);
    expect(dry.reports).toEqual(['one']);
    expect((await cli('gc')).stdout).toContain('report one\n');
    await cli('run', '--log', '--name', 'four', ...sh('true'));
    const { ended } = JSON.parse((await cli('ps', '-a', '--json')).stdout);
    expect(ended.map(({ id }: { id: string }) => id)).toEqual(['three', 'four']);
    setPolicy({ reports: { age: 0 } });
    await cli('gc');
    setPolicy(null);
    expect(JSON.parse((await cli('ps', '-a', '--json')).stdout).ended).toEqual([]);
  });

  it('leaves the reports of running tasks', async () => {
    const { setPolicy } = runner;
    await detach('--name', 'alive', ...sh('echo up; exec sleep 1000'));
    setPolicy({ reports: { count: 0 } });
    await cli('gc');
    setPolicy(null);
    await waitUntil(async () => (await cli('logs', 'alive')).stdout === 'up\n');
  });
});
