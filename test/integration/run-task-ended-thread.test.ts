/** Tasks of a worker thread that ended before them, in a process that continues: others see that they have no owner, and remove them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { taskDir } from '../../src/core/layout.ts';
import { reapTasks } from '../../src/task/abandoned/reap.ts';
import { watchOwners } from '../../src/task/abandoned/watch-owners.ts';
import { killTask } from '../../src/task/ending/kill-task.ts';
import { openInstallation } from '../../src/task/installation.ts';
import { listTasks } from '../../src/task/records/list-tasks.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { layout, env } = useInstallation();
const script = fileURLToPath(new URL('../fixtures/run-in-ended-thread.mjs', import.meta.url));
const quietThread = fileURLToPath(new URL('../fixtures/run-in-quiet-thread.mjs', import.meta.url));
const id = parseTaskId('of-a-thread');
const isThere = () => existsSync(taskDir(layout, id));

const owners: ChildProcess[] = [];

afterEach(async () => {
  for (const owner of owners.splice(0)) {
    owner.stdin?.end();
    if (owner.exitCode === null) await once(owner, 'exit');
  }
  await reapTasks(openInstallation(layout));
});

/** Resolves when the thread has ended. */
async function endThread(...args: readonly string[]): Promise<ChildProcess> {
  const started = spawn(process.execPath, [script, ...args], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  owners.push(started);
  const lines = createInterface({ input: started.stdout })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('thread has ended');
  return started;
}

const WAYS = ['throw', 'exit', 'terminate'];

it.each(WAYS)('tasks of an ended thread are orphaned and reaped (%s)', async (how) => {
  await endThread(how);
  const installation = openInstallation(layout);
  expect(listTasks(installation).tasks.map(({ state }) => state)).toEqual(['orphaned']);
  const { reaped, corrupt } = await reapTasks(installation);
  expect(corrupt).toEqual([]);
  expect(reaped).toEqual([{ id, removed: true, leftovers: [] }]);
});

it.each(WAYS)('tasks of an ended thread can be ended with kill (%s)', async (how) => {
  await endThread(how);
  const removal = await killTask(openInstallation(layout), id, { graceMs: 0 });
  expect(removal).toEqual({ removed: true, leftovers: [] });
});

it.each(WAYS)(
  'tasks of an ended thread are removed by the guard of their process (%s)',
  async (how) => {
    await endThread(how, 'guard');
    await waitUntil(() => !isThere());
  },
);

it('tasks of an ended thread are removed by a watching reap', async () => {
  const stop = new AbortController();
  const watching = watchOwners(openInstallation(layout), {
    signal: stop.signal,
    onReport: () => undefined,
  });
  await endThread('throw');
  await waitUntil(() => !isThere());
  stop.abort();
  await watching;
});

it.each(['throw', 'exit'])('tasks of an ended thread leave no descriptor (%s)', async (how) => {
  const { pid } = await endThread(how);
  await reapTasks(openInstallation(layout));
  expect(descriptorsOf(pid)).toEqual(descriptorsOf((await endThread('nothing')).pid));
});

/** The open files of a process, without the parts that differ between processes. */
function descriptorsOf(pid: number | undefined): readonly string[] {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  return links.map((link) => link.replace(/\[\d+\]/, '')).sort();
}

it('a thread’s list of open files is true: its end closes no file of other threads', () => {
  // Numbers are used again at once: each task shows what the one before left in the list.
  const plain = { stack: 'busybox', command: ['true'] };
  const inputs = [{ disk: '64m' }, { tty: true }, { payload: 'text' }, { disk: '65m' }, {}, {}];
  const given = JSON.stringify(inputs.map((more) => ({ ...plain, ...more })));
  const { stdout, status } = spawnSync(process.execPath, [quietThread, given], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  expect({ stdout, status }).toEqual({ stdout: '', status: 0 });
});
