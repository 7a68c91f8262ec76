/** The effect of the program's memory on its tasks: the same task in a small process and in one with a large live heap, in turn. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Installed } from './installed.ts';
import { interleave, type Summary } from './statistics.ts';

export interface LiveHeap {
  readonly small: Summary;
  readonly large: Summary;
}

export const SMALL_MB = 50;
export const LARGE_MB = 1_000;

export async function measureLiveHeap(installed: Installed, rounds: number): Promise<LiveHeap> {
  const [small, large] = [
    await startProcess(installed, SMALL_MB),
    await startProcess(installed, LARGE_MB),
  ];
  try {
    return await interleave({ small: small.time, large: large.time }, { rounds, warmUp: 5 });
  } finally {
    small.end();
    large.end();
  }
}

async function startProcess({ root, run, stack }: Installed, megabytes: number) {
  const program = new URL('../../bench/time-tasks.mjs', import.meta.url).pathname;
  const args = ['--max-old-space-size=4096', program, root, run, stack, String(megabytes)];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`the process with ${megabytes} MB has ended`);
    return value;
  };
  await next();
  return {
    async time() {
      child.stdin.write('again\n');
      return Number(await next());
    },
    end: () => void child.stdin.end(),
  };
}
