/** `stackshim reap --watch`: a task is removed soon after its owner dies, whatever the owner was; nothing else is touched. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { taskDir, taskScratchDir, tasksDir } from '../../src/core/layout.ts';
import { runCli, STACKSHIM, type StartedCli, startCli } from '../support/cli/run-cli.ts';
import { CLEAN, type StartedTask, useTaskRunner } from '../support/cli/task-runner.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { installation, run, start, folder } = useTaskRunner();
const { env, layout } = installation;
const folderOf = (id: string) => taskDir(layout, parseTaskId(id));
const isGone = (id: string) =>
  !existsSync(folderOf(id)) && !existsSync(taskScratchDir(layout, parseTaskId(id)));
const isEmpty = () => readdirSync(tasksDir(layout)).length === 0;
const WAITING = ['sh', '-c', 'echo ready; exec sleep 1000'];

/** Runs with the privileges of the unit file. */
const unit = readFileSync(new URL('../../systemd/stackshim-reap.service', import.meta.url), 'utf8');
const capabilities = (/^CapabilityBoundingSet=(.*)$/m.exec(unit)?.[1] ?? '')
  .split(' ')
  .map((name) => `+${name.replace('CAP_', '').toLowerCase()}`);
const confined = [
  'setpriv',
  `--bounding-set=-all,${capabilities.join(',')}`,
  '--no-new-privs',
  '--',
];

let watching: StartedCli;

const watch = (...args: readonly string[]) =>
  startCli(['reap', '--watch', ...args], { env, through: confined });

async function startReady(id: string, ...options: readonly string[]): Promise<StartedTask> {
  const task = start(['--name', id, ...options], WAITING);
  await task.printed('ready');
  return task;
}

async function kill(task: StartedTask): Promise<void> {
  task.child.kill('SIGKILL');
  await task.ended;
}

/** Stops the watch; resolves to its output. */
async function stop(): Promise<string> {
  watching.child.kill('SIGTERM');
  const { status, stdout, stderr } = await watching.ended;
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

describe('while it watches', () => {
  beforeEach(() => {
    watching = watch();
  });
  afterEach(async () => {
    watching.child.kill('SIGTERM');
    await watching.ended;
  });

  it('removes the tasks of an owner that dies, and leaves those of living owners alone', async () => {
    const living = await startReady('living');
    const [one, two] = [await startReady('one'), await startReady('two', '--userns', 'host')];
    await run(['--name', 'kept', '--keep'], ['true']);
    await kill(one);
    await waitUntil(() => isGone('one'));
    expect(isGone('two')).toBe(false);
    await kill(two);
    await waitUntil(() => isGone('two'));
    expect(await stop()).toBe('one\ntwo\n');
    expect(isGone('living')).toBe(false);
    const { stdout } = await runCli(['kill', 'living', 'kept'], { env });
    expect(stdout.split('\n').sort()).toEqual(['', 'kept', 'living']);
    expect((await living.ended).record).toMatchObject({ ...CLEAN, verdict: 'cancelled' });
  });

  it('removes all tasks of a library process that is killed', async () => {
    const script = fileURLToPath(new URL('../fixtures/run-many.mjs', import.meta.url));
    const worker = spawn(process.execPath, [script, '12'], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(createInterface({ input: worker.stdout }), 'line');
    worker.kill('SIGKILL');
    await once(worker, 'close');
    await waitUntil(isEmpty);
    expect((await stop()).trim().split('\n')).toHaveLength(12);
  });

  it('reports nothing about tasks that end by themselves', async () => {
    for (let i = 0; i < 5; i += 1) await run([], ['true']);
    await waitUntil(isEmpty);
    expect(await stop()).toBe('');
  });

  it('removes what an owner left that died before its task had a name', async () => {
    const dying = spawn('sleep', ['1000']);
    const startTime = readFileSync(`/proc/${dying.pid}/stat`, 'utf8').split(' ')[21];
    const unfinished = `${tasksDir(layout)}/.new-${dying.pid}-${startTime}-half`;
    mkdirSync(unfinished, { recursive: true });
    dying.kill('SIGKILL');
    await waitUntil(() => !existsSync(unfinished));
  });

  it('identifies a task by its owner, not by its name', async () => {
    for (let i = 0; i < 3; i += 1) await run(['--name', 'again'], ['true']);
    await kill(await startReady('again'));
    await waitUntil(() => isGone('again'));
    expect(await stop()).toBe('again\n');
  });

  it('continues when the tasks folder is replaced', async () => {
    await kill(await startReady('before'));
    await waitUntil(() => isGone('before'));
    renameSync(tasksDir(layout), `${tasksDir(layout)}.old`);
    rmSync(`${tasksDir(layout)}.old`, { recursive: true });
    await kill(await startReady('after'));
    await waitUntil(() => isGone('after'));
  });
});

it('starts with the tasks that are already there', async () => {
  await kill(await startReady('early'));
  watching = watch('--json');
  await waitUntil(() => isGone('early'));
  const line = await stop();
  expect(JSON.parse(line)).toEqual({
    reaped: [{ id: 'early', removed: true, leftovers: [] }],
    corrupt: [],
  });
});

it('reports a damaged record once', async () => {
  mkdirSync(folderOf('broken'), { recursive: true });
  writeFileSync(`${folderOf('broken')}/record.json`, 'nonsense');
  watching = watch('--json');
  await watching.printed('ERR_STACKSHIM_RECORD_CORRUPT');
  await kill(await startReady('other'));
  await watching.printed('other');
  const lines = (await stop()).trim().split('\n');
  expect(lines.map((line) => JSON.parse(line).corrupt.length)).toEqual([1, 0]);
  rmSync(folderOf('broken'), { recursive: true });
});

it('cannot be combined with --wait', async () => {
  const { status, stderr } = await runCli(['reap', '--watch', '--wait', 'task'], { env });
  expect(status).toBe(2);
  expect(stderr).toContain('--wait');
});

it('runs as a systemd service', () => {
  const file = join(folder, 'stackshim-reap.service');
  writeFileSync(file, unit.replace('/usr/local/bin/stackshim', STACKSHIM));
  const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', file], {
    encoding: 'utf8',
  });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
});
