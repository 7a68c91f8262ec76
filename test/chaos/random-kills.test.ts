/**
 * Hundreds of tasks, several at a time, whose shim, runtime or first process is killed at a random moment. After each batch one reap
 * leaves a clean host, the store is sound, and every written result is true.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { taskCgroup } from '../../src/cgroup/cgroup-names.ts';
import { openCgroupDriver } from '../../src/cgroup/open-cgroup-driver.ts';
import { isTaskId, parseTaskId, type TaskId } from '../../src/core/ids.ts';
import { nsPidOf } from '../../src/sys/handled-process.ts';
import { readRecord } from '../../src/task/records/read-record.ts';
import { verifyStore } from '../../src/upkeep/verify-store.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { type StartedTask, type TaskRun, useTaskRunner } from '../support/cli/task-runner.ts';
import { snapshotHost } from '../support/host/host-snapshot.ts';
import { expectNoLeaksSince } from '../support/host/leak-check.ts';
import { isFullRun } from '../support/timing/full-run.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import { type Random, seedRandom } from './support/seeded-random.ts';

const { installation, start } = useTaskRunner();
const { layout, env } = installation;
const TASKS = isFullRun ? 5_000 : 500;
const BATCH = 20;
const AT_ONCE = 4;
/** Duration of the last undisturbed task: kills are spread over that time. */
let wholeMs = 150;

const VICTIMS = ['shim', 'shim', 'shim', 'runtime', 'init', 'nobody'] as const;
type Victim = (typeof VICTIMS)[number];

interface Plan {
  readonly id: TaskId;
  readonly victim: Victim;
  /** When the victim is killed, as a share of a task's duration. */
  readonly after: number;
  /** The exit code of the task's command. */
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

/** False if there was no victim at that moment. */
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

/** A result that was written is complete and belongs to the task; only a killed shim writes none. */
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

/** No folders in preparation or removal are left either. */
function isKept(name: string): boolean {
  if (!isTaskId(name)) return false;
  try {
    return readRecord(layout, name)?.kept === true;
  } catch {
    // The record is removed before the folder.
    return false;
  }
}

/** Kept tasks are removed by `kill`, all others by themselves or by one reap. */
async function restore(): Promise<number> {
  const { status, stdout, stderr } = await runCli(['reap', '--json'], { env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const { reaped, corrupt } = JSON.parse(stdout);
  expect(corrupt).toEqual([]);
  // The process of an asynchronous removal may still be at work.
  await waitUntil(() => taskNames().every(isKept));
  const left = taskNames();
  if (left.length > 0) expect((await runCli(['kill', ...left], { env })).status).toBe(0);
  return reaped.length;
}

it(`${TASKS} tasks, killed at random moments, leave nothing after a reap`, {
  timeout: 7_200_000,
}, async () => {
  const random = seedRandom('random-kills');
  let reaped = 0;
  await live({ ...plan(random, TASKS), victim: 'nobody', options: [] });
  for (let from = 0; from < TASKS; from += BATCH) {
    const roots = [layout.root, layout.run];
    const before = snapshotHost(roots);
    await runBatch(Array.from({ length: BATCH }, (_, index) => plan(random, from + index)));
    reaped += await restore();
    await expectNoLeaksSince(before, { roots });
    expect((await verifyStore(layout)).damage).toEqual([]);
  }
  console.log(`random-kills: ${reaped} of ${TASKS} were left to reap`);
  expect(reaped).toBeGreaterThan(0);
});
