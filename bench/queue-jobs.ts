/** What the queue and the worker cost: jobs beside tasks that the library runs directly, on each store. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Figure } from './figures.ts';
import type { Installed } from './installed.ts';

interface Points {
  readonly p50: number;
  readonly p99: number;
}

export interface QueueJobs {
  readonly kind: 'redis' | 'postgres';
  /** `/bin/true`, four at a time, in one process. */
  readonly tasksPerSecond: number;
  readonly jobsPerSecond: number;
  /** Milliseconds from the call to the start of the command. */
  readonly coldStartMs: Points;
  readonly queuedStartMs: Points;
  /** Of the worker's process, for 100 running tasks. */
  readonly megabytesPer100: number;
}

const LEAST_PART = { redis: 0.85, postgres: 0.7 } as const;

const project = new URL('../../', import.meta.url).pathname;

/** In a process of its own for each store. */
export async function measureQueueJobs(installed: Installed): Promise<readonly QueueJobs[]> {
  const measured: QueueJobs[] = [];
  for (const kind of ['redis', 'postgres'] as const) {
    measured.push({ kind, ...(await withStore(kind, (url) => timeJobs(url, installed))) });
  }
  return measured;
}

function timeJobs(url: string, { root, run, stack }: Installed): Omit<QueueJobs, 'kind'> {
  const script = `${project}bench/time-queue.mjs`;
  const args = ['--expose-gc', script, url, root, run, stack];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}

/** The executable's engine runs the tests' own way to start a store. */
async function withStore<T>(kind: QueueJobs['kind'], use: (url: string) => T): Promise<T> {
  const architecture = process.arch === 'arm64' ? 'aarch64' : process.arch;
  const bun = `${project}node_modules/@oven/bun-linux-${architecture}/bin/bun`;
  const args = ['--conditions=source', `${project}bench/serve-store.mjs`, kind];
  const server = spawn(bun, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const [line] = await once(createInterface({ input: server.stdout }), 'line');
    return use(String(line));
  } finally {
    const ended = once(server, 'close');
    server.stdin.end();
    await ended;
  }
}

export const toQueueFigures = (measured: readonly QueueJobs[]): readonly Figure[] =>
  measured.flatMap(
    ({ kind, tasksPerSecond, jobsPerSecond, coldStartMs, queuedStartMs, megabytesPer100 }) => {
      const part = jobsPerSecond / tasksPerSecond;
      const later = queuedStartMs.p50 / coldStartMs.p50;
      const isRedis = kind === 'redis';
      return [
        {
          name: `jobs/s on ${kind}, beside ${tasksPerSecond.toFixed(1)} tasks/s of the library`,
          value: `${jobsPerSecond.toFixed(1)}/s, x ${part.toFixed(2)}`,
          target: `>= x ${LEAST_PART[kind]}`,
          met: part >= LEAST_PART[kind],
        },
        {
          name: `  from add to start, p50, beside ${coldStartMs.p50.toFixed(0)} ms of a cold start`,
          value: `${queuedStartMs.p50.toFixed(0)} ms, x ${later.toFixed(2)}`,
          target: isRedis ? '<= x 1.3' : '',
          met: isRedis ? later <= 1.3 : null,
        },
        {
          name: `  from add to start, p99, beside ${coldStartMs.p99.toFixed(0)} ms`,
          value: `${queuedStartMs.p99.toFixed(0)} ms`,
          target: '',
          met: null,
        },
        {
          name: "  worker's memory for 100 running tasks",
          value: `${megabytesPer100.toFixed(1)} MB`,
          target: '',
          met: null,
        },
      ];
    },
  );
