/** `stackshim ps`: tasks in every state, for people and for programs. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { taskDir } from '../../src/core/layout.ts';
import { openInstallation } from '../../src/task/installation.ts';
import { listTasks, type TaskList } from '../../src/task/records/list-tasks.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';

const { installation, run, start } = useTaskRunner();
const { env, layout } = installation;
const WAITING = ['sh', '-c', 'echo ready; exec sleep 1000'];

async function listJson(): Promise<TaskList> {
  const { stdout } = await runCli(['ps', '--json'], { env });
  return JSON.parse(stdout);
}

const kill = (...ids: readonly string[]) => runCli(['kill', ...ids], { env });

it('prints only a header when there is no task', async () => {
  const { status, stdout, stderr } = await runCli(['ps'], { env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toBe('ID   STACK   STATE   PID   OWNER   AGE   COMMAND   LABELS\n');
  expect(await listJson()).toEqual({ tasks: [], corrupt: [] });
});

describe('a running task', () => {
  it('is listed with its state, its command and its owner', async () => {
    const task = start(['--name', 'one', '--label', 'job=7', '--label', 'b=c'], WAITING);
    await task.printed('ready');
    const [listed, ...others] = (await listJson()).tasks;
    expect(others).toEqual([]);
    expect(listed).toEqual({
      id: 'one',
      stack: 'busybox',
      revision: 1,
      state: 'running',
      pid: expect.any(Number),
      ownerPid: task.child.pid,
      tenant: null,
      command: WAITING,
      labels: { job: '7', b: 'c' },
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.+Z$/),
    });
    const { status, stdout } = await runCli(['ps'], { env });
    expect(status).toBe(0);
    const [, row, ...rest] = stdout.split('\n');
    expect(rest).toEqual(['']);
    const cells = row?.split(/ {3,}/);
    expect(cells?.toSpliced(5, 1)).toEqual([
      'one',
      'busybox@rev:1',
      'running',
      `${listed?.pid}`,
      `${task.child.pid}`,
      'sh -c echo ready; exec sleep 1000',
      'job=7,b=c',
    ]);
    expect(cells?.[5]).toMatch(/^\d+s$/);
    await kill('one');
    await task.ended;
  });

  it('is listed with the pid of its first process', { tags: ['gvisor/host-pids'] }, async () => {
    const task = start(['--name', 'one'], WAITING);
    try {
      await task.printed('ready');
      const [listed] = (await listJson()).tasks;
      expect(readFileSync(`/proc/${listed?.pid}/cmdline`, 'utf8')).toBe('sleep\u00001000\u0000');
    } finally {
      await kill('one');
      await task.ended;
    }
  });

  it('is listed after older tasks', async () => {
    const tasks: Promise<unknown>[] = [];
    for (const name of ['z-first', 'a-second']) {
      const task = start(['--name', name], WAITING);
      await task.printed('ready');
      tasks.push(task.ended);
    }
    expect((await listJson()).tasks.map(({ id }) => id)).toEqual(['z-first', 'a-second']);
    await kill('z-first', 'a-second');
    await Promise.all(tasks);
  });

  it('cannot write to the terminal of the caller who lists it', async () => {
    const hostile = '\u001b]0;owned\u0007\nfake-row';
    const task = start(['--name', 'x', '--label', `k=${hostile}`], [...WAITING, hostile]);
    await task.printed('ready');
    const { stdout } = await runCli(['ps'], { env });
    expect(stdout.match(/\n/g)).toHaveLength(2);
    expect(stdout).toContain('k=\\u{1b}]0;owned\\u{7}\\nfake-row');
    expect((await listJson()).tasks[0]?.labels).toEqual({ k: hostile });
    await kill('x');
    await task.ended;
  });
});

describe('a list', () => {
  const ps = (...args: readonly string[]) => runCli(['ps', ...args], { env });

  it('has only the tasks that pass the filters, as ids, with whole commands, or as JSON', async () => {
    const long = `exec sleep 1000 # ${'x'.repeat(60)}`;
    const one = start(['--name', 'one', '--label', 'job=7'], ['sh', '-c', `echo ready; ${long}`]);
    const two = start(['--name', 'two'], WAITING);
    await Promise.all([one.printed('ready'), two.printed('ready')]);
    expect((await ps('-q')).stdout.split('\n').sort()).toEqual(['', 'one', 'two']);
    expect((await ps('-q', '--filter', 'label=job')).stdout).toBe('one\n');
    expect((await ps('-q', '-f', 'status=kept')).stdout).toBe('');
    expect((await ps('-f', 'id=one')).stdout).toContain('sleep 1000 # xxx…  ');
    expect((await ps('-f', 'id=one', '--no-trunc')).stdout).toContain(long);
    const { stdout } = await ps('--format', 'json', '-f', 'stack=busybox', '-f', 'id=two');
    expect(JSON.parse(stdout)).toMatchObject({ tasks: [{ id: 'two' }], corrupt: [] });
    expect((await ps('--format', 'table')).stdout).toMatch(/^ID /);
    await kill('one', 'two');
    await Promise.all([one.ended, two.ended]);
  });

  it.each([
    [['--format', '{{.ID}}']],
    [['--format', 'table', '--json']],
    [['-q', '--json']],
    [['--filter', 'name=x']],
    [['--filter', 'id']],
  ])('is refused with %j', async (args) => {
    const { status, stdout, stderr } = await ps(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('[ERR_STACKSHIM_SPEC_INVALID]');
  });
});

it('shows kept tasks and tasks whose owner died', async () => {
  await run(['--name', 'kept', '--keep'], ['true']);
  const orphan = start(['--name', 'orphan'], WAITING);
  await orphan.printed('ready');
  orphan.child.kill('SIGKILL');
  await orphan.ended;
  const states = (await listJson()).tasks.map(({ id, state }) => [id, state]);
  expect(states).toEqual([
    ['kept', 'kept'],
    ['orphan', 'orphaned'],
  ]);
  await kill('kept', 'orphan');
});

it('reports a record that cannot be read, and lists the other tasks', async () => {
  const dir = taskDir(layout, parseTaskId('broken'));
  mkdirSync(dir);
  writeFileSync(`${dir}/record.json`, '{"version":1,');
  await run(['--name', 'kept', '--keep'], ['true']);
  const { status, stdout, stderr } = await runCli(['ps'], { env });
  expect(status).toBe(1);
  expect(stdout).toMatch(/\nkept /);
  expect(stderr).toContain('[ERR_STACKSHIM_RECORD_CORRUPT]');
  expect(stderr).toContain('stackshim kill broken');
  const json = await runCli(['ps', '--json'], { env });
  expect(json.status).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({
    tasks: [{ id: 'kept' }],
    corrupt: [{ code: 'ERR_STACKSHIM_RECORD_CORRUPT', details: { path: `${dir}/record.json` } }],
  });
  rmSync(dir, { recursive: true });
  await kill('kept');
});

it('never sees a task that is partly removed', async () => {
  const here = openInstallation(installation.layout);
  let running = true;
  const tasks = (async () => {
    for (let round = 0; round < 5; round += 1) {
      await Promise.all([1, 2, 3].map((n) => run(['--name', `t${n}`], ['true'])));
    }
    running = false;
  })();
  let seen = 0;
  while (running) {
    const { tasks: listed, corrupt } = listTasks(here);
    expect(corrupt).toEqual([]);
    seen += listed.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await tasks;
  expect(seen).toBeGreaterThan(0);
  expect(existsSync(taskDir(layout, parseTaskId('t1')))).toBe(false);
});
