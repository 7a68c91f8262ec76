/** A guard removes the tasks of a library process that dies, in whatever way, and nothing while the process lives. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { tasksDir } from '../../src/core/layout.ts';
import { isAlive, type ProcessIdentity, readProcess } from '../../src/sys/processes.ts';
import { SYSTEM_PATH } from '../../src/sys/start-program.ts';
import { reapTasks } from '../../src/task/abandoned/reap.ts';
import { openInstallation } from '../../src/task/installation.ts';
import { taskPlaces } from '../../src/task/records/task-places.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { layout, env } = useInstallation();
const script = fileURLToPath(new URL('../fixtures/run-guarded.mjs', import.meta.url));

/** A path that nobody can create: Node would create it if it used the variable. */
const CACHE = '/dev/null/cache';

interface Guarded {
  readonly owner: ChildProcess;
  readonly guard: ProcessIdentity;
  /** Resolves to the next line of output. */
  line(): Promise<string>;
}

let running: ChildProcess[] = [];

afterEach(async () => {
  for (const owner of running) {
    owner.kill('SIGKILL');
    if (owner.exitCode === null && owner.signalCode === null) await once(owner, 'exit');
  }
  running = [];
  await reapTasks(openInstallation(layout));
});

function startProgram(count: number, what: string, more: Readonly<Record<string, string>> = {}) {
  const owner = spawn(process.execPath, [script, String(count), what], {
    env: { ...process.env, ...env, ...more },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  running.push(owner);
  const lines = createInterface({ input: owner.stdout })[Symbol.asyncIterator]();
  const line = async () => String((await lines.next()).value);
  return { owner, line };
}

async function startGuarded(
  count: number,
  what = '',
  more: Readonly<Record<string, string>> = {},
): Promise<Guarded> {
  const { owner, line } = startProgram(count, what, more);
  const pid = Number(/^guard (\d+)$/.exec(await line())?.[1]);
  const guard = readProcess(pid);
  if (guard === undefined) throw new Error(`no guard ${pid}`);
  owner.stdin.end();
  return { owner, guard, line };
}

const taskFolders = () => readdirSync(tasksDir(layout));

async function expectAllGone({ guard }: Guarded): Promise<void> {
  await waitUntil(() => !isAlive(guard));
  expect(taskFolders()).toEqual([]);
  expect(await reapTasks(openInstallation(layout))).toEqual({ reaped: [], corrupt: [] });
}

it.each(['SIGKILL', 'SIGSEGV', 'SIGTERM'] as const)(
  'the guard removes the tasks of a process that dies of %s',
  async (signal) => {
    const guarded = await startGuarded(8);
    expect(await guarded.line()).toBe('all are running');
    expect(taskFolders()).toHaveLength(8);
    guarded.owner.kill(signal);
    await once(guarded.owner, 'exit');
    await expectAllGone(guarded);
  },
);

it('the guard removes the tasks of a process that exits while they run', async () => {
  const guarded = await startGuarded(2, 'exit');
  await once(guarded.owner, 'exit');
  expect(guarded.owner.exitCode).toBe(7);
  await expectAllGone(guarded);
});

it('the guard tries again to remove what was in use', async () => {
  const guarded = await startGuarded(1);
  expect(await guarded.line()).toBe('all are running');
  const [id = ''] = taskFolders();
  const { system, cgroups } = openInstallation(layout);
  const places = taskPlaces(layout, parseTaskId(id));
  const held = `${places.scratchDir}/held`;
  mkdirSync(places.scratchDir, { recursive: true });
  writeFileSync(held, '');
  execFileSync('chattr', ['+i', held]);
  const lock = openSync(places.taskDir, 'r');
  try {
    guarded.owner.kill('SIGKILL');
    await waitUntil(() => cgroups.existing(places.cgroupsPath).length === 0);
    await waitUntil(() => system.lockFile(lock, { wait: false }));
  } finally {
    closeSync(lock);
    execFileSync('chattr', ['-i', held]);
  }
  expect(taskFolders()).toEqual([id]);
  await expectAllGone(guarded);
});

it('the guard leaves the tasks of other processes alone', async () => {
  const other = startProgram(1, 'close');
  await other.line();
  other.owner.stdin.end();
  expect(await other.line()).toBe('all are running');
  const [id] = taskFolders();
  const guarded = await startGuarded(2);
  await guarded.line();
  guarded.owner.kill('SIGKILL');
  await waitUntil(() => !isAlive(guarded.guard));
  expect(taskFolders()).toEqual([id]);
});

it('the guard does not keep its process alive, and ends with it', async () => {
  const guarded = await startGuarded(0);
  await once(guarded.owner, 'exit');
  expect(guarded.owner.exitCode).toBe(0);
  await expectAllGone(guarded);
});

it('the guard has none of its process’s environment, which could make Node load or write files', async () => {
  const guarded = await startGuarded(1, '', { NODE_COMPILE_CACHE: CACHE });
  expect(await guarded.line()).toBe('all are running');
  const environment = readFileSync(`/proc/${guarded.guard.pid}/environ`, 'utf8');
  expect(environment.split('\0').filter((entry) => entry !== '')).toEqual([
    `PATH=${SYSTEM_PATH}`,
    'LC_ALL=C',
  ]);
  guarded.owner.kill('SIGKILL');
  await once(guarded.owner, 'exit');
  await expectAllGone(guarded);
});

it('the guard ends when it is dismissed', async () => {
  const guarded = await startGuarded(1, 'close');
  expect(await guarded.line()).toBe('all are running');
  expect(isAlive(guarded.guard)).toBe(false);
  guarded.owner.kill('SIGKILL');
  await once(guarded.owner, 'exit');
  expect(taskFolders()).toHaveLength(1);
});

it('the guard has its own session, and survives the signal that stops a service', async () => {
  const guarded = await startGuarded(1);
  await guarded.line();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.kill(guarded.guard.pid, signal);
  }
  guarded.owner.kill('SIGKILL');
  await expectAllGone(guarded);
});

it('the guard’s process learns that the guard was killed', async () => {
  const guarded = await startGuarded(1, 'lose');
  expect(await guarded.line()).toBe('all are running');
  process.kill(guarded.guard.pid, 'SIGKILL');
  expect(await guarded.line()).toBe('guard has ended');
});

it('the guard stays when the thread that started it ends', async () => {
  const guarded = await startGuarded(1, 'by a thread');
  expect(await guarded.line()).toBe('all are running');
  expect(isAlive(guarded.guard)).toBe(true);
  expect(taskFolders()).toHaveLength(1);
  guarded.owner.kill('SIGKILL');
  await once(guarded.owner, 'exit');
  await expectAllGone(guarded);
});

it('a guard that cannot be started is a typed error', async () => {
  const { line } = startProgram(1, 'no program');
  expect(await line()).toBe('ERR_STACKSHIM_SYSTEM');
});
