/**
 * Hundreds of tasks, several at a time, whose shim, runtime or own first process is killed at any moment. After each batch one reap
 * leaves a clean host, what is stored verifies, and every result that was written is true.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { openCgroupDriver } from '../../src/cgroup/open-cgroup-driver.ts';
import { isTaskId, parseTaskId, type TaskId } from '../../src/core/ids.ts';
import { verifyStore } from '../../src/stacks/verify-store.ts';
import { nsPidOf } from '../../src/sys/handled-process.ts';
import { readRecord } from '../../src/task/records/read-record.ts';
import { taskCgroup } from '../../src/task/records/task-places.ts';
import { snapshotHost } from '../support/host-snapshot.ts';
import { expectNoLeaks } from '../support/leak-check.ts';
import { reapersEnded } from '../support/reapers-ended.ts';
import { runCli } from '../support/run-cli.ts';
import { type Random, seedRandom } from '../support/seeded-random.ts';
import { type StartedTask, type TaskRun, useTaskRunner } from '../support/task-runner.ts';
import { waitUntil } from '../support/wait-until.ts';

const { installation, start } = useTaskRunner();
const { layout, env } = installation;
const isFull = process.env['STACKSHIM_TEST_FULL'] !== undefined;
const TASKS = isFull ? 5_000 : 500;
const BATCH = 20;
const AT_ONCE = 4;
/** How long the last task took that was left alone: kills are spread over that. */
let wholeMs = 150;

const VICTIMS = ['shim', 'shim', 'shim', 'runtime', 'init', 'nobody'] as const;
type Victim = (typeof VICTIMS)[number];

interface Plan {
  readonly id: TaskId;
  readonly victim: Victim;
  /** When it is killed, as a share of what a task takes. */
  readonly after: number;
  /** What the task ends with. */
  readonly code: number;
  readonly options: readonly string[];
}

const MORE: readonly (readonly string[])[] = [
  [],
  [],
  ['--payload', 'text', '-v', '/etc:/e:ro'],
  ['--keep'],
  ['--remove', 'async'],
  ['--init'],
  ['--userns', 'host'],
];

function plan(random: Random, number: number): Plan {
  return {
    id: parseTaskId(`k${number}`),
    victim: VICTIMS[random.below(VICTIMS.length)] ?? 'nobody',
    after: random.next(),
    code: random.below(100),
    options: MORE[random.below(MORE.length)] ?? [],
  };
}

async function live(planned: Plan): Promise<void> {
  const { id, victim, after, code, options } = planned;
  const work = `echo out-${code}; echo text > /made; (setsid sleep 3600 &) ; usleep 20000; exit ${code}`;
  const task = start(['--name', id, ...options], ['sh', '-c', work]);
  const startedAt = performance.now();
  await delay(after * wholeMs);
  const isKilled = kill(victim, task, id);
  expectTrue(planned, isKilled, await task.ended);
  if (victim === 'nobody') wholeMs = performance.now() - startedAt;
}

/** False when there was nobody to kill at that moment. */
function kill(victim: Victim, task: StartedTask, id: TaskId): boolean {
  if (victim === 'shim') return task.child.kill('SIGKILL');
  if (victim === 'nobody') return false;
  const pids = victim === 'runtime' ? childrenOf(task.child.pid ?? 0) : initOf(id);
  for (const pid of pids) killIfThere(pid);
  return pids.length > 0;
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .split(' ')
      .filter(Boolean)
      .map(Number);
  } catch {
    return [];
  }
}

const initOf = (id: TaskId) =>
  openCgroupDriver()
    .listProcesses(taskCgroup(layout, id))
    .filter((pid) => nsPidOf(pid) === 1);

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    expect(error).toMatchObject({ code: 'ESRCH' });
  }
}

/** A result that was written is that of the task, whole; one that is missing is that of a shim which was killed. */
function expectTrue({ id, victim, code }: Plan, isKilled: boolean, ended: TaskRun): void {
  const { record, stdout, signal } = ended;
  if (record === undefined) {
    expect({ id, victim, signal }).toEqual({ id, victim: 'shim', signal: 'SIGKILL' });
    return;
  }
  const why = { id, victim, error: record.error?.message };
  const told = { ...why, verdict: record.verdict, exitCode: record.exitCode };
  const natural = { ...why, verdict: code === 0 ? 'succeeded' : 'failed', exitCode: code };
  if (victim === 'shim' || !isKilled) expect(told).toEqual(natural);
  if (record.verdict === 'setup_failed') {
    expect({ id, stdout, code: record.error?.code }).toMatchObject({ id, stdout: '' });
    expect(record.error, id).not.toBeNull();
  } else if (record.verdict === 'signaled') {
    expect({ ...told, signal: record.signal }).toEqual({
      ...why,
      verdict: 'signaled',
      exitCode: null,
      signal: 'SIGKILL',
    });
  } else {
    expect(told).toEqual(natural);
    if (signal === null) expect({ id, stdout }).toEqual({ id, stdout: `out-${code}\n` });
  }
}

async function runBatch(plans: readonly Plan[]): Promise<void> {
  const waiting = [...plans];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await live(next);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

const taskNames = () => readdirSync(join(layout.run, 'tasks'));

/** Not a folder that is being made or removed, either. */
function isKept(name: string): boolean {
  if (!isTaskId(name)) return false;
  try {
    return readRecord(layout, name)?.kept === true;
  } catch {
    // Its record goes before its folder.
    return false;
  }
}

/** What `--keep` keeps goes by `kill`; all else by itself or by one reap. */
async function restore(): Promise<number> {
  const { status, stdout, stderr } = await runCli(['reap', '--json'], { env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const { reaped, corrupt } = JSON.parse(stdout);
  expect(corrupt).toEqual([]);
  // The process that an asynchronous removal was left to may be at it.
  await waitUntil(() => taskNames().every(isKept));
  await reapersEnded();
  const left = taskNames();
  if (left.length > 0) expect((await runCli(['kill', ...left], { env })).status).toBe(0);
  return reaped.length;
}

it(`of ${TASKS} tasks`, { timeout: 7_200_000 }, async () => {
  const random = seedRandom('random-kills');
  let reaped = 0;
  await live({ ...plan(random, TASKS), victim: 'nobody', options: [] });
  for (let from = 0; from < TASKS; from += BATCH) {
    const roots = [layout.root, layout.run];
    const before = snapshotHost(roots);
    await runBatch(Array.from({ length: BATCH }, (_, index) => plan(random, from + index)));
    reaped += await restore();
    expectNoLeaks(before, snapshotHost(roots), { roots });
    expect((await verifyStore(layout)).damage).toEqual([]);
  }
  console.log(`random-kills: ${reaped} of ${TASKS} were left to reap`);
  expect(reaped).toBeGreaterThan(0);
});
