/**
 * Every system call of a task fails once, fails from then on, or takes long: the result is true, nothing else in the process is
 * affected, and a reap restores the host.
 */
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimWorker } from '../../src/archive/claim-worker.ts';
import { messageOf } from '../../src/core/errors.ts';
import { mountedLayersDir } from '../../src/core/layout.ts';
import {
  openStackshim,
  parseTaskId,
  runTask,
  StackshimError,
  type TaskEvent,
  type TaskResult,
} from '../../src/index.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { runProgram } from '../../src/sys/run-program.ts';
import { createUserNamespace } from '../../src/sys/user-namespace.ts';
import { claimSlot, slotIds } from '../../src/task/admission/slot.ts';
import { verifyStore } from '../../src/upkeep/verify-store.ts';
import {
  ANSWERS,
  type CallCounts,
  describeFault,
  type FailingMethod,
  type FailingSystem,
  type Fault,
  failSystem,
} from '../support/host/failing-system.ts';
import { snapshotHost } from '../support/host/host-snapshot.ts';
import { expectNoLeaksSince } from '../support/host/leak-check.ts';
import { expectOpenFiles, openFiles } from '../support/host/open-files.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { writePolicy } from '../support/installation/write-policy.ts';
import { isFullRun } from '../support/timing/full-run.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { NEIGHBOUR, startNeighbour } from './support/neighbour-task.ts';
import { type Random, seedRandom } from './support/seeded-random.ts';
import { MARKS, type TaskVariant, variantsIn } from './support/task-variants.ts';
import { within } from './support/within.ts';

const { layout, options } = useInstallation();
const roots = [layout.root, layout.run];

const folder = mkdtempSync('/var/tmp/stackshim-failing-');
chmodSync(folder, 0o755);
const marks = join(folder, 'marks');
mkdirSync(join(folder, 'code'));
writeFileSync(join(folder, 'code/program'), 'text');
mkdirSync(marks);
chmodSync(marks, 0o777);
afterAll(() => rmSync(folder, { recursive: true }));

let system: FailingSystem;
let random: Random;
/** Exceptions and rejections that nobody in this process caught. */
const uncaught: unknown[] = [];
/** Called for each of them. What such an error prevented need not be waited for. */
let giveUp: () => void = () => undefined;
const onUncaught = (error: unknown) => {
  uncaught.push(error);
  giveUp();
};
beforeAll(() => {
  system = failSystem();
  random = seedRandom('failing-calls');
  process.on('uncaughtException', onUncaught).on('unhandledRejection', onUncaught);
});
afterAll(() => {
  system.restore();
  process.off('uncaughtException', onUncaught).off('unhandledRejection', onUncaught);
});

interface Outcome {
  /** Undefined if the call was rejected. */
  readonly result: TaskResult | undefined;
  readonly error: unknown;
  readonly events: readonly TaskEvent['type'][];
  readonly counts: CallCounts;
}

async function run(variant: TaskVariant, fault: Fault | null): Promise<Outcome> {
  const more = variant.options?.();
  const events: TaskEvent['type'][] = [];
  let result: TaskResult | undefined;
  let error: unknown;
  const counts = await system.during(fault, async () => {
    const removed = new Promise<void>((resolve) => {
      giveUp = resolve;
    });
    const onEvent = (event: TaskEvent) => {
      events.push(event.type);
      more?.onEvent?.(event);
      if (event.type === 'removed') giveUp();
    };
    const volumes = [`${marks}:${MARKS}`];
    const command = ['sh', '-c', variant.script];
    const task = { stack: 'busybox', volumes, command, ...variant.input };
    try {
      result = await within(runTask(task, { ...options, ...more, onEvent }));
      await within(removed);
    } catch (thrown) {
      error = thrown;
    }
  });
  return { result, error, events, counts };
}

function makeReady({ policy, isFirst }: TaskVariant): void {
  rmSync(join(marks, 'ran'), { force: true });
  writePolicy(layout, policy);
  if (!isFirst) return;
  const mounted = readdirSync(mountedLayersDir(layout)).filter((name) => !name.endsWith('.lock'));
  for (const name of mounted) linuxSystem.detachMount(join(mountedLayersDir(layout), name));
}

/** Checks that hold for any fault. */
const LOST = ['failed', 'signaled'];

function expectTrue(variant: TaskVariant, { result, error, events }: Outcome): void {
  if (result === undefined) {
    expect(error).toBeInstanceOf(StackshimError);
    expect(error).not.toMatchObject({ code: 'ERR_STACKSHIM_INTERNAL' });
    expect(events).toEqual([]);
    return;
  }
  const { verdict, exitCode, leftovers, removed } = result;
  expect(result.error?.code).not.toBe('ERR_STACKSHIM_INTERNAL');
  expect(leftovers.length > 0).toBe(!removed);
  if (verdict === 'setup_failed') {
    expect(result).toMatchObject({ exitCode: null, signal: null, retryable: true });
    expect(existsSync(join(marks, 'ran'))).toBe(false);
  } else if (result.error === null) {
    expect({ verdict, exitCode }).toEqual({ verdict: variant.verdict, exitCode: variant.exitCode });
  } else {
    expect([variant.verdict, ...LOST]).toContain(verdict);
    expect([variant.exitCode, null]).toContain(exitCode);
  }
}

async function restore(): Promise<void> {
  const stackshim = openStackshim(options);
  for (const { id, state } of (await stackshim.list()).tasks) {
    if (state === 'kept') await stackshim.kill(id, { stopTimeout: 0 });
  }
  const { reaped, corrupt } = await stackshim.reap();
  expect(corrupt).toEqual([]);
  expect(reaped.filter((task) => !task.removed)).toEqual([]);
}

async function suffer(variant: TaskVariant, fault: Fault | null): Promise<CallCounts> {
  try {
    return await endure(variant, fault);
  } catch (error) {
    // No process of the task may continue.
    const stackshim = openStackshim(options);
    const { tasks } = await stackshim.list();
    const left = tasks.filter(({ id }) => id !== NEIGHBOUR);
    await Promise.all(left.map(({ id }) => stackshim.kill(id, { stopTimeout: 0 })));
    if (fault === null) throw error;
    throw new Error(`${describeFault(fault)}: ${messageOf(error)}`, { cause: error });
  }
}

async function endure(variant: TaskVariant, fault: Fault | null): Promise<CallCounts> {
  makeReady(variant);
  const before = snapshotHost(roots);
  const files = openFiles();
  const outcome = await run(variant, fault);
  expect(uncaught.splice(0)).toEqual([]);
  expectTrue(variant, outcome);
  if (outcome.result?.removed !== false) {
    // The tenant's cgroup is not the task's: if its removal failed, the next task or this call removes it.
    const allow = [/\/tenants\/|\/tenant-[^/]+$/];
    await expectNoLeaksSince(before, { roots, allow });
  }
  await restore();
  await expectNoLeaksSince(before, { roots });
  if (fault !== null) await expectOpenFiles(files);
  return outcome.counts;
}

/** Methods that have failed so far. */
const failed = new Set<FailingMethod>();
/** In the everyday run, how often each of the other methods fails. */
const SHARE = 0.3;

/** In the everyday run each method fails at one of its calls: in the first task that makes it, for some methods in later tasks too. */
function plan(counts: CallCounts): readonly Fault[] {
  return [...counts].flatMap(([method, calls]) => {
    const all = Array.from({ length: calls }, (_, call) => faultsAt(method, call)).flat();
    if (isFullRun) return all;
    if (failed.has(method) && random.next() > SHARE) return [];
    failed.add(method);
    return all.slice(random.below(all.length)).slice(0, 1);
  });
}

/** A check that all tasks share, and whose call the kernel never refuses for long. */
const SHARED: ReadonlySet<FailingMethod> = new Set(['pollEpoll']);

function faultsAt(method: FailingMethod, call: number): readonly Fault[] {
  const [first] = ANSWERS[method];
  const lasting =
    SHARED.has(method) || first === undefined ? [] : [{ answer: first, lasting: true }];
  const once = [...ANSWERS[method], 'slow' as const].map((answer) => ({ answer, lasting: false }));
  return [...once, ...lasting].map((how) => ({ method, call, ...how }));
}

it('a slot whose user namespace cannot be pinned is free for the next task', async () => {
  const slots = join(folder, 'slots');
  const own = { ...layout, slots };
  const claim = () => claimSlot(linuxSystem, own, parseTaskId('claims'), 1);
  // The first program opens descriptors that stay open for later ones.
  closeSync(await createUserNamespace(linuxSystem, slotIds(0)));
  const files = openFiles();
  const fault = { method: 'bindMount', call: 0, answer: 'ENOSPC', lasting: false } as const;
  await system.during(fault, async () => {
    await expect(claim()).rejects.toMatchObject({ code: 'ENOSPC' });
  });
  await expectOpenFiles(files);
  const slot = await claim();
  expect(slot.index).toBe(0);
  slot.release();
  expect(linuxSystem.detachMount(join(slots, '0.userns'))).toBe(true);
  await expectOpenFiles(files);
});

it('a program that cannot be started leaves nothing open, and its id is free for the next', async () => {
  const workers = { system: linuxSystem, layout: { slots: join(folder, 'slots') } };
  const fault = { method: 'openPidfd', call: 0, answer: 'EMFILE', lasting: true } as const;
  const cat = { path: '/bin/cat', args: [], env: {} };
  await runProgram(cat);
  const files = openFiles();
  const { id, end } = await claimWorker(workers);
  await system.during(fault, async () => {
    const run = runProgram({ ...cat, input: Readable.from([Buffer.from('text')]), onExit: end });
    await expect(run).rejects.toMatchObject({ cause: { code: 'EMFILE' } });
    await expectOpenFiles(files);
    // Whether processes of the id's last holder are left cannot be found out either.
    await expect(claimWorker(workers)).rejects.toMatchObject({ cause: { code: 'EMFILE' } });
    await expectOpenFiles(files);
  });
  const next = await claimWorker(workers);
  expect(next.id).toBe(id);
  await next.end();
  await expectOpenFiles(files);
});

describe('with each system call failing in turn', () => {
  it.each(variantsIn(folder))('$name', { timeout: scaled(3_600_000) }, async (variant) => {
    const listeners = process.listenerCount('SIGCHLD');
    // The previous variant may have left its policy.
    writePolicy(layout);
    const neighbour = startNeighbour(options);
    await neighbour.answers();
    // The neighbour's watch keeps one file open after its first check.
    const isWatched = () => openFiles().some((name) => name.endsWith('/net/sockstat'));
    await expect.poll(isWatched, { timeout: scaled(5000) }).toBe(true);
    try {
      const counts = await suffer(variant, null);
      for (const fault of plan(counts)) {
        await suffer(variant, fault);
        await neighbour.answers();
      }
    } catch (error) {
      // Report the first fault.
      await neighbour.end().catch(() => undefined);
      throw error;
    }
    await neighbour.end();
    // No process is waited for any more.
    expect(process.listenerCount('SIGCHLD')).toBe(listeners);
    expect((await verifyStore(layout)).damage).toEqual([]);
  });
});
