/** What tasks do to the program that runs them by the library: its event loop, its own children, its descriptors and memory. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type RunTaskOptions, runTask } from 'stackshim';
import type { Installed } from './installed.ts';
import { interleave, type Summary } from './statistics.ts';

export interface LoopDelay {
  readonly p99: number;
  readonly max: number;
}

export interface HostProgram {
  /** How late the loop was for a timer of one millisecond, in milliseconds: while 100 tasks start at once. */
  readonly startDelayMs: LoopDelay;
  /** While 200 tasks write 5 MB each. */
  readonly writeDelayMs: LoopDelay;
  readonly beside: BesideChildren;
  /** Start of a task alone, and beside one that writes 1 GB byte by byte. */
  readonly alone: Summary;
  readonly besideNoise: Summary;
}

/** After tasks and children of the program that ran side by side. */
export interface BesideChildren {
  readonly tasks: number;
  readonly children: number;
  /** Exits of children that the program was never told of, or wrongly. */
  readonly missedExits: number;
  readonly wrongTasks: number;
  /** What the program has more of than after the first tenth. */
  readonly growth: {
    readonly descriptors: number;
    readonly threads: number;
    readonly heapKib: number;
  };
}

const STARTS = 100;
const WRITERS = 200;
const WRITTEN_MB = 5;
const TASKS = 3_000;
const CHILDREN = 2_000;
const AT_ONCE = 16;

export async function measureHostProgram(
  installed: Installed,
  rounds: number,
): Promise<HostProgram> {
  await run(installed, ['true']);
  const startDelayMs = await delayWhile(() => many(STARTS, () => run(installed, ['true'])));
  const write = `head -c ${WRITTEN_MB}000000 /dev/zero`;
  const writeDelayMs = await delayWhile(() =>
    many(WRITERS, () => run(installed, ['sh', '-c', write])),
  );
  const beside = await measureBesideChildren(installed);
  return { startDelayMs, writeDelayMs, beside, ...(await measureNoise(installed, rounds)) };
}

const run = (
  { stack, options }: Installed,
  command: readonly string[],
  more: RunTaskOptions = {},
) => runTask({ stack, command, memory: '64m' }, { ...options, ...more });

const many = <T>(count: number, one: (index: number) => Promise<T>): Promise<readonly T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => one(index)));

async function delayWhile(work: () => Promise<unknown>): Promise<LoopDelay> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await work();
  delay.disable();
  return { p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 };
}

async function measureBesideChildren(installed: Installed): Promise<BesideChildren> {
  const children = startChildren();
  const wrong = { tasks: 0 };
  await runInTurns(installed, TASKS / 10, wrong);
  const before = ownNumbers();
  await runInTurns(installed, (TASKS * 9) / 10, wrong);
  const missedExits = await children;
  const after = ownNumbers();
  const growth = {
    descriptors: after.descriptors - before.descriptors,
    threads: after.threads - before.threads,
    heapKib: after.heapKib - before.heapKib,
  };
  return { tasks: TASKS, children: CHILDREN, missedExits, wrongTasks: wrong.tasks, growth };
}

/** Some at a time, each with an exit code of its own. */
async function runInTurns(installed: Installed, count: number, wrong: { tasks: number }) {
  let next = 0;
  await many(AT_ONCE, async () => {
    for (; next < count; ) {
      const code = next++ % 100;
      const { exitCode } = await run(installed, ['sh', '-c', `exit ${code}`]);
      if (exitCode !== code) wrong.tasks += 1;
    }
  });
}

/** Children of this program beside the tasks, each with a shell's grandchild that outlives it. Resolves to the number of exits missed. */
async function startChildren(): Promise<number> {
  let [next, told] = [0, 0];
  await many(AT_ONCE, async () => {
    for (; next < CHILDREN; ) {
      const code = next++ % 100;
      const child = spawn('/bin/sh', ['-c', `(sleep 0.01 &); exit ${code}`], { stdio: 'ignore' });
      const [exit] = await once(child, 'exit', { signal: AbortSignal.timeout(60_000) }).catch(
        () => [null],
      );
      if (exit === code) told += 1;
    }
  });
  return CHILDREN - told;
}

function ownNumbers() {
  globalThis.gc?.();
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    heapKib: Math.round(process.memoryUsage().heapUsed / 1024),
  };
}

/** One process runs both: whatever the noisy task costs it, the others feel. */
async function measureNoise(installed: Installed, rounds: number) {
  const timed = async () => {
    const startedAt = performance.now();
    await run(installed, ['true']);
    return performance.now() - startedAt;
  };
  const noise = ['dd', 'if=/dev/zero', 'bs=1', 'count=1000000000'];
  const { alone, besideNoise } = await interleave(
    {
      alone: timed,
      async besideNoise() {
        const end = new AbortController();
        let begun: () => void = () => undefined;
        const writing = new Promise<void>((resolve) => {
          begun = resolve;
        });
        const noisy = run(installed, noise, {
          killSignal: end.signal,
          stdout: { write: () => begun() },
          stderr: { write: () => undefined },
        });
        await Promise.race([writing, noisy]);
        const taken = await timed();
        end.abort();
        await noisy;
        return taken;
      },
    },
    { rounds, warmUp: 2 },
  );
  return { alone, besideNoise };
}
