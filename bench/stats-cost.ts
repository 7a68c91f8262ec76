/** What it costs to look at running tasks: the processor time of `stackshim stats` in a second. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Installed } from './installed.ts';

/** The first looks read the records and compile the code. */
const WARM_UP_LOOKS = 5;
const LOOKS = 15;
const NS_PER_MS = 1_000_000;

export interface StatsCost {
  /** Tasks in the last look. */
  readonly tasks: number;
  /** Milliseconds of processor time per second, of all threads. */
  readonly cpuMs: number;
}

/** Runs `stats --json` while the tasks run, and stops it. */
export async function measureStats({ executable, root, run }: Installed): Promise<StatsCost> {
  const env = { ...process.env, STACKSHIM_ROOT: root, STACKSHIM_RUN: run };
  const child = spawn(executable, ['stats', '--json'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error('stats was not started');
  try {
    let looks = 0;
    let before = { at: 0, cpuMs: 0 };
    for await (const line of createInterface({ input: child.stdout })) {
      looks += 1;
      if (looks === WARM_UP_LOOKS) before = { at: performance.now(), cpuMs: cpuMsOf(pid) };
      if (looks < WARM_UP_LOOKS + LOOKS) continue;
      const seconds = (performance.now() - before.at) / 1_000;
      const cpuMs = (cpuMsOf(pid) - before.cpuMs) / seconds;
      return { tasks: JSON.parse(line).tasks.length, cpuMs };
    }
    throw new Error('stats has ended');
  } finally {
    child.kill('SIGKILL');
  }
}

/** To the nanosecond: proc_pid_schedstat(5). Threads that have ended are missing; the engine's live as long as the process. */
function cpuMsOf(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const times = threads.map((tid) =>
    Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]),
  );
  return times.reduce((sum, ns) => sum + ns, 0) / NS_PER_MS;
}
