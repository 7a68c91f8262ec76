/** Task records: of this version, an older one, a newer one, and of an installation with another root folder. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { taskDir, taskScratchDir } from '../../src/core/layout.ts';
import { isAlive, readProcess } from '../../src/sys/processes.ts';
import { runCli, STACKSHIM } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { folder, installation, run, setPolicy, start } = useTaskRunner();
const { env, layout } = installation;
const cli = (...args: readonly string[]) => runCli(args, { env });

beforeAll(() => setPolicy({ tenants: { acme: {} } }));

const WAITING = ['sh', '-c', 'echo ready; exec sleep 1000'];

const recordFile = (id: string) => `${taskDir(layout, parseTaskId(id))}/record.json`;
const readStored = (id: string) => JSON.parse(readFileSync(recordFile(id), 'utf8'));
const scratchOf = (id: string) => taskScratchDir(layout, parseTaskId(id));

async function listed(id: string) {
  const { stdout } = await cli('ps', '--json');
  const { tasks } = JSON.parse(stdout);
  return tasks.find((task: { readonly id: string }) => task.id === id);
}

/** Its pid 1, which runs until it is killed. */
async function startedTask(id: string, ...options: readonly string[]) {
  const task = start(['--name', id, ...options], WAITING);
  await task.printed('ready');
  const { pid } = await listed(id);
  const init = readProcess(pid);
  if (init === undefined) throw new Error(`task ${id} has no first process`);
  return { task, init };
}

async function orphan(id: string, ...options: readonly string[]) {
  const { task, init } = await startedTask(id, ...options);
  task.child.kill('SIGKILL');
  await task.ended;
  return init;
}

describe('the record', () => {
  it('names every resource that does not follow from the id, and the task’s settings', async () => {
    const init = await orphan('named', '--tenant', 'acme');
    expect(readStored('named')).toMatchObject({
      version: 4,
      origin: 'caller',
      writtenBy: expect.stringMatching(/^\d+\.\d+\.\d+/),
      names: {
        cgroup: expect.stringMatching(/^\/stackshim-[0-9a-f]{8}\/tenant-acme\/task-named$/),
        scratchDir: scratchOf('named'),
        volumeFile: `${layout.root}/scratch/.volume-named`,
        idleVolumeDir: `${layout.run}/volumes/named`,
        stateRoot: `${layout.run}/runtime`,
      },
      slot: expect.any(Number),
      diskMechanism: expect.stringMatching(/^(?:quota|volume)$/),
    });
    expect(await cli('reap')).toMatchObject({ status: 0, stdout: 'named\n' });
    expect(isAlive(init)).toBe(false);
  });

  it('contains the exit of a kept task, as code or signal', async () => {
    await run(['--name', 'failed', '--keep'], ['sh', '-c', 'exit 7']);
    await run(['--name', 'killed', '--keep', '--timeout', '100ms'], ['sleep', '1000']);
    expect(readStored('failed').exit).toMatchObject({ exitCode: 7, signal: null });
    expect(readStored('killed').exit).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
    expect(await listed('failed')).toMatchObject({ state: 'kept', exit: { exitCode: 7 } });
    await cli('kill', 'failed', 'killed');
  });

  it('contains the exit of a task whose owner died before it removed the task', async () => {
    // No one reads the task's output: its owner is still waiting.
    const fifo = `${folder}/unread`;
    execFileSync('mkfifo', [fifo]);
    const unread = openSync(fifo, constants.O_RDWR);
    const command = ['sh', '-c', 'head -c 100000 /dev/zero; exit 3'];
    const owner = spawn(STACKSHIM, ['run', '--name', 'ended', 'busybox', ...command], {
      env: { ...process.env, ...env },
      stdio: ['ignore', unread, 'inherit'],
    });
    await waitUntil(
      () => existsSync(recordFile('ended')) && readStored('ended').exit !== undefined,
    );
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    closeSync(unread);
    const { status, stdout } = await cli('reap', '--json');
    expect({ status, report: JSON.parse(stdout) }).toEqual({
      status: 0,
      report: {
        reaped: [
          {
            id: 'ended',
            removed: true,
            leftovers: [],
            exit: { exitCode: 3, signal: null, at: expect.any(String) },
          },
        ],
        corrupt: [],
      },
    });
  });
});

describe('a record of version 1', () => {
  /** A record as stackshim wrote it before records named these resources. */
  function makeOlder(id: string): void {
    const record = readStored(id);
    for (const name of ['writtenBy', 'names', 'slot', 'diskMechanism', 'origin']) {
      expect(record).toHaveProperty(name);
      delete record[name];
    }
    for (const name of ['loopDevice', 'diskDescriptor', 'diskProject']) delete record[name];
    writeFileSync(recordFile(id), JSON.stringify({ ...record, version: 1 }));
  }

  it.each([[], ['--tenant', 'acme']])('is listed and its task reaped: %s', async (...options) => {
    const init = await orphan('older', ...options);
    makeOlder('older');
    expect(await listed('older')).toMatchObject({ state: 'orphaned', pid: init.pid });
    expect(await cli('reap')).toMatchObject({ status: 0, stdout: 'older\n', stderr: '' });
    expect([isAlive(init), existsSync(scratchOf('older'))]).toEqual([false, false]);
  });

  it('is enough to end its task with kill', async () => {
    const { task, init } = await startedTask('older');
    makeOlder('older');
    expect(await cli('kill', 'older')).toMatchObject({ status: 0, stdout: 'older\n' });
    expect(isAlive(init)).toBe(false);
    expect((await task.ended).record).toMatchObject({ verdict: 'cancelled', removed: true });
  });
});

it('a record of version 2, which does not tell where its task comes from, is listed and its task reaped', async () => {
  const init = await orphan('earlier');
  const { origin, ...record } = readStored('earlier');
  expect(origin).toBe('caller');
  writeFileSync(recordFile('earlier'), JSON.stringify({ ...record, version: 2 }));
  expect(await listed('earlier')).toMatchObject({ state: 'orphaned', pid: init.pid });
  expect(await cli('reap')).toMatchObject({ status: 0, stdout: 'earlier\n', stderr: '' });
  expect(isAlive(init)).toBe(false);
});

it('a record of a newer version is refused by name, and its task is left alone', async () => {
  const init = await orphan('newer');
  const text = readFileSync(recordFile('newer'), 'utf8');
  writeFileSync(
    recordFile('newer'),
    JSON.stringify({ ...JSON.parse(text), version: 5, writtenBy: '9.8.7', more: true }),
  );
  for (const command of ['ps', 'reap']) {
    const { status, stderr } = await cli(command);
    expect(status).toBe(1);
    expect(stderr).toContain('[ERR_STACKSHIM_FORMAT_NEWER]');
    expect(stderr).toContain('version 5, written by stackshim 9.8.7');
    expect(stderr).toContain('use stackshim 9.8.7 or a newer one');
  }
  expect(isAlive(init)).toBe(true);
  writeFileSync(recordFile('newer'), text);
  expect(await cli('reap')).toMatchObject({ status: 0, stdout: 'newer\n' });
});

it('a record that names resources of others is refused', async () => {
  await orphan('hurt');
  const text = readFileSync(recordFile('hurt'), 'utf8');
  const { names, ...record } = JSON.parse(text);
  const victim = `${folder}/scratch/victim`;
  mkdirSync(victim, { recursive: true });
  for (const changed of [
    { ...names, scratchDir: victim },
    { ...names, scratchDir: `${folder}/../scratch/hurt` },
    { ...names, cgroup: '/stackshim-00000000/task-other' },
  ]) {
    writeFileSync(recordFile('hurt'), JSON.stringify({ ...record, names: changed }));
    const { status, stderr } = await cli('reap');
    expect({ status, stderr }).toMatchObject({ status: 1 });
    expect(stderr).toContain('[ERR_STACKSHIM_RECORD_CORRUPT]');
    expect(existsSync(victim)).toBe(true);
  }
  writeFileSync(recordFile('hurt'), text);
  expect(await cli('reap')).toMatchObject({ status: 0, stdout: 'hurt\n' });
});

describe('a task of an installation with another root folder and the same run folder', () => {
  const other = { ...env, STACKSHIM_ROOT: `${folder}/lib` };
  mkdirSync(other.STACKSHIM_ROOT, { mode: 0o700 });

  it('is removed together with its files in that root folder', async () => {
    const init = await orphan('foreign');
    const { pid } = JSON.parse((await runCli(['ps', '--json'], { env: other })).stdout).tasks[0];
    expect(pid).toBe(init.pid);
    expect(await runCli(['reap'], { env: other })).toMatchObject({
      status: 0,
      stdout: 'foreign\n',
    });
    expect([isAlive(init), existsSync(scratchOf('foreign'))]).toEqual([false, false]);
  });
});
