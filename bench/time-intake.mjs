/**
 * Runs on the executable's engine: the intake of a queue worker with a handler that only waits, on a store of its own. Argument: `redis` or
 * `postgres`. Prints one JSON object.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { migrateStore, openStore } from '../src/worker/queue-store/open-store.ts';
import { addJobs, laneOf, manyJobs } from '../test/support/queues/lanes.ts';
import { complete, endIntake, startTestIntake } from '../test/support/queues/start-test-intake.ts';
import { startPostgres } from '../test/support/stores/start-postgres.ts';
import { startRedis } from '../test/support/stores/start-redis.ts';

const LANES = 5_000;
const IDLE_MS = 40_000;
const LATENCIES = 300;
const kind = process.argv[2] ?? 'redis';

const server = kind === 'redis' ? await startRedis() : await startPostgres();
if (kind === 'postgres') await migrateStore(server.url);
const store = await openStore(server.url, { lockMs: 30_000, stalledLookMs: 30_000 });
try {
  const measured = {
    kind,
    lanes: LANES,
    // First, while the heap is small.
    idle: await measureIdle(),
    fairness: await measureFairness(),
    shortBesideLong: await measureShortBesideLong(),
    addToTaken: await measureAddToTaken(),
  };
  process.stdout.write(`${JSON.stringify(measured)}\n`);
} finally {
  await store.close();
  await server.remove();
}

/** A queue that no other part uses. */
function newQueue() {
  return `q${randomBytes(4).toString('hex')}`;
}

/** @param {string} queue */
async function addIdleLanes(queue) {
  for (let lane = 0; lane < LANES; lane += 100) {
    const some = Array.from({ length: 100 }, (_, at) =>
      store.ring(laneOf(queue, `idle${lane + at}`)),
    );
    await Promise.all(some);
  }
}

/**
 * @param {string} queue
 * @param {(taken: import('../src/worker/taken-job.ts').TakenJob) => Promise<void>} handle
 */
async function start(queue, handle) {
  return await startTestIntake({
    store,
    queues: [{ name: queue, weight: 1 }],
    handle,
    onError: (error) => process.stderr.write(`${error}\n`),
  });
}

/** Memory of lanes that all have a delayed job, and the processor's time while nothing happens. */
async function measureIdle() {
  const queue = newQueue();
  for (let at = 0; at < LANES; at += 1) {
    await addJobs(store, laneOf(queue, `tenant${at}`), [{ jobId: 'later', delay: 3_600_000 }]);
  }
  collect();
  const before = process.memoryUsage().rss;
  const intake = await start(queue, async () => undefined);
  while (intake.lanes() < LANES) await delay(100);
  await delay(1_000);
  collect();
  const bytes = process.memoryUsage().rss - before;
  const used = process.cpuUsage();
  await delay(IDLE_MS);
  const { user, system } = process.cpuUsage(used);
  await endIntake(intake);
  return { megabytes: bytes / 1e6, cpuPercent: (user + system) / 10 / IDLE_MS };
}

function collect() {
  for (let round = 0; round < 3; round += 1) Reflect.get(globalThis, 'Bun')?.gc(true);
}

/** At which part of the whole time the tenants with few jobs are done. */
async function measureFairness() {
  const queue = newQueue();
  await addIdleLanes(queue);
  const counts = { big: 10_000, middle: 100, small: 10 };
  const doneAt = await runTenants(queue, {
    counts,
    ms: { big: 2, middle: 2, small: 2 },
  });
  return { middle: doneAt.middle, small: doneAt.small };
}

async function measureShortBesideLong() {
  const queue = newQueue();
  await addIdleLanes(queue);
  const { short } = await runTenants(queue, {
    counts: { long: 40, short: 400 },
    ms: { long: 500, short: 5 },
  });
  return short;
}

/**
 * @template {string} Tenant
 * @param {string} queue
 * @param {{ counts: Record<Tenant, number>, ms: Record<Tenant, number> }} work
 */
async function runTenants(queue, { counts, ms }) {
  const tenants = /** @type {Tenant[]} */ (Object.keys(counts));
  for (const tenant of tenants) {
    await addJobs(store, laneOf(queue, tenant), manyJobs(tenant, counts[tenant]));
  }
  const left = { ...counts };
  /** @type {Partial<Record<Tenant, number>>} */
  const endedAt = {};
  const startedAt = performance.now();
  /** @type {(value?: undefined) => void} */
  let allDone = () => undefined;
  const done = new Promise((resolve) => {
    allDone = resolve;
  });
  const intake = await start(queue, async (taken) => {
    const tenant = /** @type {Tenant} */ (String(taken.lane.tenant));
    await delay(ms[tenant]);
    await complete(taken);
    left[tenant] -= 1;
    if (left[tenant] > 0) return;
    endedAt[tenant] = performance.now() - startedAt;
    if (tenants.every((name) => left[name] === 0)) allDone();
  });
  await done;
  await endIntake(intake);
  const whole = Math.max(...tenants.map((name) => endedAt[name] ?? 0));
  const parts = tenants.map((name) => [name, (endedAt[name] ?? 0) / whole]);
  return /** @type {Record<Tenant, number>} */ (Object.fromEntries(parts));
}

/** Milliseconds from the call that adds a job to the call of the handler, one job at a time, each in another lane. */
async function measureAddToTaken() {
  const queue = newQueue();
  /** @type {(value?: undefined) => void} */
  let taken = () => undefined;
  const intake = await start(queue, async (job) => {
    taken();
    await complete(job);
  });
  await delay(500);
  /** @type {number[]} */
  const samples = [];
  for (let sample = 0; sample < LATENCIES; sample += 1) {
    const isTaken = new Promise((resolve) => {
      taken = resolve;
    });
    const startedAt = performance.now();
    await addJobs(store, laneOf(queue, `tenant${sample % 50}`), [{ jobId: `job${sample}` }]);
    await isTaken;
    samples.push(performance.now() - startedAt);
    await delay(5);
  }
  await endIntake(intake);
  samples.sort((one, other) => one - other);
  const at = (/** @type {number} */ part) =>
    samples[Math.floor(samples.length * part)] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}
