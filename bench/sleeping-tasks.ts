/** The cost of many running tasks in one process: mounts in the host's namespace, memory of this process, delays of its event loop. */
import { readdirSync, readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { runTask } from 'stackshim';
import type { Installed } from './installed.ts';
import { measureStats, type StatsCost } from './stats-cost.ts';

export interface SleepingTasks {
  readonly tasks: number;
  /** Lines of this process's mount table, before the tasks and while all of them run. */
  readonly mountsBefore: number;
  readonly mountsWhile: number;
  /** Of these, pinned user namespaces of slots, which stay until a reboot. */
  readonly pinnedNamespaces: number;
  /** The delay of a timer of one millisecond, from the start of the first task to the start of the last one. */
  readonly loopDelayMs: { readonly p99: number; readonly max: number };
  /** Growth of this process's proportional set size, per task. */
  readonly ownKibPerTask: number;
  /** Proportional set size of the tasks' own processes, per task. */
  readonly taskKibPerTask: number;
  /** Of looking at all of them, once a second. */
  readonly stats: StatsCost;
  readonly allRemoved: boolean;
}

export async function measureSleepingTasks(
  installed: Installed,
  tasks: number,
): Promise<SleepingTasks> {
  // The first task loads what all later ones share.
  await runTask({ stack: installed.stack, command: ['/bin/true'] }, installed.options);
  const mountsBefore = mountLines().length;
  const pssBefore = ownPssKib();
  const end = new AbortController();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const started: Promise<number>[] = [];
  const results = Array.from({ length: tasks }, () => {
    let onStarted: (pid: number) => void = () => undefined;
    started.push(
      new Promise((resolve) => {
        onStarted = resolve;
      }),
    );
    let pid = 0;
    return runTask(
      { stack: installed.stack, command: ['sleep', '600'], memory: '64m' },
      {
        ...installed.options,
        signal: end.signal,
        capture: false,
        onEvent(event) {
          if (event.type === 'created') pid = event.pid;
          if (event.type === 'started') onStarted(pid);
          if (event.type === 'finished') onStarted(0);
        },
      },
    );
  });
  const pids = await Promise.all(started);
  delay.disable();
  const mounts = mountLines();
  const measured = {
    tasks,
    mountsBefore,
    mountsWhile: mounts.length,
    pinnedNamespaces: mounts.filter((line) => line.includes(' nsfs ')).length,
    loopDelayMs: { p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 },
    ownKibPerTask: (ownPssKib() - pssBefore) / tasks,
    stats: await measureStats(installed),
    taskKibPerTask: pids.reduce((sum, pid) => sum + pssKib(pid), 0) / tasks,
  };
  end.abort();
  const ended = await Promise.all(results);
  return { ...measured, allRemoved: ended.every(({ removed }) => removed) };
}

const mountLines = () => readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n');

function ownPssKib(): number {
  globalThis.gc?.();
  return pssKib(process.pid);
}

function pssKib(pid: number): number {
  if (!readdirSync('/proc').includes(String(pid))) throw new Error(`task process ${pid} has ended`);
  const match = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
  return Number(match?.[1]);
}
