/** What tasks do to the program that runs them through the library: its event loop, its own children, its descriptors and memory. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type RunTaskOptions, runTask } from 'stackshim';
import type { Installed } from './installed.ts';
import { interleave, type Summary, summarize } from './statistics.ts';

/** The median of the rounds' p99, and the longest delay. */
export interface LoopDelay {
  readonly p99: number;
  readonly max: number;
}

export interface HostProgram {
  /** Delay of a timer of one millisecond, in milliseconds, while 100 tasks start at once. */
  readonly startDelayMs: LoopDelay;
  /** While 100 tasks run one after another. */
  readonly serialDelayMs: LoopDelay;
  /** While 200 tasks write 5 MB each. */
  readonly writeDelayMs: LoopDelay;
  readonly beside: BesideChildren;
  readonly noise: Noise;
}

/** A task alone, beside a task that keeps a processor busy, and beside one that writes 1 GB byte by byte. */
export interface Noise {
  readonly alone: Summary;
  readonly besideBusy: Summary;
  readonly besideNoise: Summary;
}

/** After tasks and children of the program ran at the same time. */
export interface BesideChildren {
  readonly tasks: number;
  readonly children: number;
  /** Exits of children that were not reported to the program, or reported wrongly. */
  readonly missedExits: number;
  readonly wrongTasks: number;
  /** The program's growth after the first tenth. */
  readonly growth: {
    readonly descriptors: number;
    readonly threads: number;
    readonly heapKib: number;
  };
}

const STARTS = 100;
const WRITERS = 200;
const WRITTEN_MB = 5;
/** A single slow moment of the machine does not count. */
const ROUNDS = 5;
const TASKS = 3_000;
/** Two of three tasks run next to a child of the program. */
const CHILDREN = 2_000;
const AT_ONCE = 16;
const REST_MS = 500;

export async function measureHostProgram(
  installed: Installed,
  rounds: number,
): Promise<HostProgram> {
  await run(installed, ['true']);
  const startDelayMs = await delayWhile(() => many(STARTS, () => run(installed, ['true'])));
  const serialDelayMs = await delayWhile(async () => {
    for (let task = 0; task < STARTS; task += 1) await run(installed, ['true']);
  });
  const write = `head -c ${WRITTEN_MB}000000 /dev/zero`;
  const writeDelayMs = await delayWhile(() =>
    many(WRITERS, () => run(installed, ['sh', '-c', write])),
  );
  const noise = await measureNoise(installed, rounds);
  const beside = await measureBesideChildren(installed);
  return { startDelayMs, serialDelayMs, writeDelayMs, beside, noise };
}

async function run(
  { stack, options }: Installed,
  command: readonly string[],
  more: RunTaskOptions = {},
) {
  const result = await runTask({ stack, command, memory: '64m' }, { ...options, ...more });
  if (result.verdict === 'setup_failed' || !result.removed) throw new Error(JSON.stringify(result));
  return result;
}

async function many(count: number, one: (index: number) => Promise<unknown>): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, index) => one(index)));
}

async function delayWhile(work: () => Promise<unknown>): Promise<LoopDelay> {
  const p99s: number[] = [];
  let max = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    await delay(REST_MS);
    const measured = monitorEventLoopDelay({ resolution: 1 });
    measured.enable();
    await work();
    measured.disable();
    p99s.push(measured.percentile(99) / 1e6);
    max = Math.max(max, measured.max / 1e6);
  }
  return { p99: summarize(p99s).median, max };
}

async function measureBesideChildren(installed: Installed): Promise<BesideChildren> {
  const wrong = { tasks: 0, children: 0 };
  await runInTurns(installed, [0, TASKS / 10], wrong);
  const before = await ownNumbers();
  await runInTurns(installed, [TASKS / 10, TASKS], wrong);
  const after = await ownNumbers();
  const growth = {
    descriptors: after.descriptors - before.descriptors,
    threads: after.threads - before.threads,
    heapKib: after.heapKib - before.heapKib,
  };
  const { children: missedExits, tasks: wrongTasks } = wrong;
  return { tasks: TASKS, children: CHILDREN, missedExits, wrongTasks, growth };
}

/** Runs some tasks at a time; each task and its child have their own exit code. */
async function runInTurns(
  installed: Installed,
  [from, until]: readonly [number, number],
  wrong: { tasks: number; children: number },
) {
  let next = from;
  await many(AT_ONCE, async () => {
    while (next < until) {
      const index = next++;
      const code = index % 100;
      const [{ exitCode }, exit] = await Promise.all([
        run(installed, ['sh', '-c', `exit ${code}`]),
        index % 3 === 2 ? code : runChild(code),
      ]);
      if (exitCode !== code) wrong.tasks += 1;
      if (exit !== code) wrong.children += 1;
    }
  });
}

/** A child of this program with a grandchild that outlives it. Resolves to its exit code; null if that was never reported. */
async function runChild(code: number): Promise<number | null> {
  const child = spawn('/bin/sh', ['-c', `(sleep 0.01 &); exit ${code}`], { stdio: 'ignore' });
  const signal = AbortSignal.timeout(60_000);
  const [exit] = await once(child, 'exit', { signal }).catch(() => [null]);
  return exit;
}

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** Of the program at rest. */
async function ownNumbers() {
  await delay(REST_MS);
  collectGarbage();
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    heapKib: Math.round(process.memoryUsage().heapUsed / 1024),
  };
}

/** Both tasks run in one process: it bears the cost of the other task. */
async function measureNoise(installed: Installed, rounds: number): Promise<Noise> {
  const timed = async () => {
    const startedAt = performance.now();
    await run(installed, ['true']);
    return performance.now() - startedAt;
  };
  const beside = (output: string) => async () => {
    const end = new AbortController();
    let tellBegun: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => {
      tellBegun = resolve;
    });
    const command = `echo begun >&2; exec dd if=/dev/zero bs=1 count=1000000000 ${output}`;
    const other = run(installed, ['sh', '-c', command], {
      killSignal: end.signal,
      stdout: { write: () => undefined },
      stderr: { write: () => tellBegun() },
    });
    await Promise.race([begun, other]);
    await delay(REST_MS / 5);
    const taken = await timed();
    end.abort();
    await other;
    return taken;
  };
  return await interleave(
    { alone: timed, besideBusy: beside('of=/dev/null'), besideNoise: beside('') },
    { rounds, warmUp: 2 },
  );
}
