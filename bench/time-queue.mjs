/**
 * Runs jobs through a queue and a worker, beside tasks that the library runs directly, in one process. Arguments: the store's URL, the root
 * folder, the run folder, the stack. Prints one JSON object.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { openStackshim } from 'stackshim';
import { createWorker, openQueues } from 'stackshim/worker';

const ROUNDS = 5;
const PER_ROUND = 100;
const AT_ONCE = 4;
const LATENCIES = 60;
const SLEEPING = 100;
const QUEUE = 'bench';

const [store = '', root = '', run = '', stack = ''] = process.argv.slice(2);
const installation = { root, run };
const stackshim = openStackshim(installation);
const job = { stack, command: ['/bin/true'], memory: '64m', cpus: 0.5, disk: '64m' };

const queues = await openQueues({ store, installation });
/** @type {(type: string) => void} */
let heard = () => undefined;
const options = { store, queues: [QUEUE], ...installation };
const worker = await createWorker({
  ...options,
  concurrency: AT_ONCE,
  onEvent: ({ type }) => heard(type),
});
try {
  const rates = await measureRates();
  const starts = await measureStarts();
  await worker.drain();
  const memory = await measureMemory();
  process.stdout.write(`${JSON.stringify({ ...rates, ...starts, ...memory })}\n`);
} finally {
  await worker.drain();
  await queues.close();
}

/** Tasks and jobs each second, in rounds that take turns. */
async function measureRates() {
  /** @type {number[]} */
  const direct = [];
  /** @type {number[]} */
  const queued = [];
  for (let round = -1; round < ROUNDS; round += 1) {
    const [tasks, jobs] = [await rateOf(runDirectly), await rateOf(runQueued)];
    // The first round loads what later ones share.
    if (round < 0) continue;
    direct.push(tasks);
    queued.push(jobs);
  }
  return { tasksPerSecond: medianOf(direct), jobsPerSecond: medianOf(queued) };
}

/** @param {() => Promise<number>} work resolves to milliseconds */
async function rateOf(work) {
  await delay(200);
  return (PER_ROUND / (await work())) * 1_000;
}

async function runDirectly() {
  const startedAt = performance.now();
  let left = PER_ROUND;
  const runSome = async () => {
    while (left > 0) {
      left -= 1;
      await stackshim.run(job, { capture: false });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, runSome));
  return performance.now() - startedAt;
}

async function runQueued() {
  await queues.pause(QUEUE);
  const jobs = Array.from({ length: PER_ROUND }, () => queues.enqueue(QUEUE, job));
  await Promise.all(jobs);
  let ended = 0;
  const done = new Promise((resolve) => {
    heard = (type) => {
      if (type === 'job_ended') ended += 1;
      if (ended === PER_ROUND) resolve(undefined);
    };
  });
  const startedAt = performance.now();
  await queues.resume(QUEUE);
  await done;
  return performance.now() - startedAt;
}

/** Milliseconds from the call to the start of the command: of a task that the library runs, and of a job. */
async function measureStarts() {
  /** @type {number[]} */
  const cold = [];
  /** @type {number[]} */
  const queued = [];
  for (let sample = 0; sample < LATENCIES; sample += 1) {
    await delay(50);
    cold.push(await startDirectly());
    await delay(50);
    queued.push(await startQueued());
  }
  return { coldStartMs: pointsOf(cold), queuedStartMs: pointsOf(queued) };
}

async function startDirectly() {
  const calledAt = Date.now();
  let begunAt = 0;
  await stackshim.run(job, {
    capture: false,
    onEvent({ type }) {
      if (type === 'started') begunAt = Date.now();
    },
  });
  return begunAt - calledAt;
}

async function startQueued() {
  const calledAt = Date.now();
  const { status } = await queues.enqueue(QUEUE, job, { wait: true });
  return Date.parse(status?.result?.startedAt ?? '') - calledAt;
}

/** Of a process that has 100 running tasks of jobs, beyond what it has without. */
async function measureMemory() {
  const own = await createWorker({ ...options, concurrency: SLEEPING });
  const before = ownPssBytes();
  const sleeping = { ...job, command: ['sleep', '600'], cpus: 0.01 };
  const jobs = Array.from({ length: SLEEPING }, () => queues.enqueue(QUEUE, sleeping));
  const names = (await Promise.all(jobs)).map((added) => added.job);
  let isRunning = false;
  while (!isRunning) {
    await delay(200);
    const states = await Promise.all(names.map((name) => queues.status(name)));
    isRunning = states.every(({ state }) => state === 'running');
  }
  const bytes = ownPssBytes() - before;
  await Promise.all(names.map((name) => queues.cancel(name)));
  await own.drain({ drainMs: 30_000 });
  return { megabytesPer100: (bytes / 1e6 / SLEEPING) * 100 };
}

function ownPssBytes() {
  globalThis.gc?.();
  const match = /^Pss:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'));
  return Number(match?.[1]) * 1024;
}

/** @param {number[]} samples */
function pointsOf(samples) {
  const sorted = [...samples].sort((one, other) => one - other);
  const at = (/** @type {number} */ part) => sorted[Math.floor(sorted.length * part)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

/** @param {number[]} samples */
function medianOf(samples) {
  return pointsOf(samples).p50;
}
