/** The intake beside dead workers, late replies, lost messages, a store with faults, and entries that a hostile producer wrote. */
import type { IQueueBackend } from 'bullmq';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { monotonicMs } from '../../src/sys/clocks.ts';
import type { Intake } from '../../src/worker/intake/intake-options.ts';
import type { Lane } from '../../src/worker/job/lane.ts';
import { openStore } from '../../src/worker/queue-store/open-store.ts';
import type { QueueStore, StoreListeners } from '../../src/worker/queue-store/queue-store.ts';
import type { TakenJob } from '../../src/worker/taken-job.ts';
import { addJobs, laneOf, manyJobs, queueOf } from '../support/queues/lanes.ts';
import {
  complete,
  endIntake,
  GIB,
  startTestIntake,
  type TestIntakeOptions,
} from '../support/queues/start-test-intake.ts';
import { STORE_KINDS, type StoreServer } from '../support/queues/store-kinds.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const LOCK_MS = 1_000;
const options = { lockMs: LOCK_MS, stalledLookMs: 100 };

/** A handler that completes every job and remembers the jobs. */
function completing() {
  const jobs: TakenJob[] = [];
  const handle = async (taken: TakenJob) => {
    await complete(taken);
    jobs.push(taken);
  };
  return { jobs, handle, ids: () => jobs.map(({ id }) => id).toSorted() };
}

/** The store with another take. */
const withTake = (
  store: QueueStore,
  take: (lane: Lane, real: () => ReturnType<IQueueBackend['moveToActive']>) => Promise<unknown[]>,
): QueueStore => ({
  ...store,
  backend(lane) {
    const backend = store.backend(lane);
    return new Proxy(backend, {
      get: (target, name) =>
        name === 'moveToActive'
          ? (...args: [string]) => take(lane, () => target.moveToActive(...args))
          : Reflect.get(target, name),
    });
  },
});

describe.each(STORE_KINDS)('on %s', (_kind, startServer) => {
  let server: StoreServer;
  let store: QueueStore;
  let queue: string;
  let queues = 0;
  let intakes: Intake[] = [];
  let errors: unknown[] = [];

  beforeAll(async () => {
    server = await startServer();
    store = await openStore(server.url, options);
  });

  afterAll(async () => {
    await store?.close();
    await server?.remove();
  });

  beforeEach(() => {
    queues += 1;
    queue = `q${queues}`;
    errors = [];
  });

  afterEach(async () => {
    for (const intake of intakes) await endIntake(intake);
    intakes = [];
  });

  async function start(given: Partial<TestIntakeOptions> & Pick<TestIntakeOptions, 'handle'>) {
    const intake = await startTestIntake({
      ...{ store, ...options, queues: [{ name: queue, weight: 1 }] },
      onError: (error) => errors.push(error),
      ...given,
    });
    intakes.push(intake);
    return intake;
  }

  it('takes the jobs of a worker that died, once their locks have expired', async () => {
    const lane = laneOf(queue, 'a');
    await addJobs(store, lane, manyJobs('job', 3));
    await store.noteActive(lane);
    for (const token of ['one', 'two']) await store.backend(lane).moveToActive(token);
    const { handle, ids, jobs } = completing();
    await start({ handle });
    await waitUntil(() => jobs.length === 3);
    expect(ids()).toEqual(['job-0', 'job-1', 'job-2']);
    expect(jobs.map(({ job }) => job.stalledCounter).toSorted()).toEqual([0, 1, 1]);
    expect(errors).toEqual([]);
  });

  it('hands back a job that came with a late reply, and takes it again', async () => {
    const lane = laneOf(queue, 'a');
    await addJobs(store, lane, [{ jobId: 'late' }]);
    let [lateMs, takes] = [0, 0];
    const slow = withTake(store, async (_, real) => {
      const reply = await real();
      takes += 1;
      if (takes === 1) lateMs = LOCK_MS / 2 + 1;
      return reply;
    });
    const clock = { monotonicMs: () => monotonicMs() + lateMs, epochMs: Date.now };
    const { handle, jobs } = completing();
    await start({ store: slow, clock, handle });
    await waitUntil(() => jobs.length === 1);
    const [taken] = jobs;
    expect([taken?.id, taken?.job.attemptsStarted, taken?.job.attemptsMade]).toEqual([
      'late',
      2,
      0,
    ]);
    const counts = await queueOf(store, lane).getJobCounts('active', 'wait', 'completed');
    expect(counts).toEqual({ active: 0, completed: 1, wait: 0 });
    expect(errors).toEqual([]);
  });

  it('finds jobs whose bells were lost: by its looks, and after a gap', async () => {
    let listeners: StoreListeners | undefined;
    const deaf: QueueStore = {
      ...store,
      async listen(names, given) {
        listeners = given;
        return await store.listen(names, { ...given, onBell: () => undefined });
      },
    };
    const { handle, jobs, ids } = completing();
    await start({ store: deaf, handle, pace: { recentLookMs: 50 } });
    await addJobs(store, laneOf(queue, 'a'), [{ jobId: 'recent' }]);
    await waitUntil(() => jobs.length === 1);
    for (const intake of intakes) await endIntake(intake);
    await start({ store: deaf, handle });
    await addJobs(store, laneOf(queue, 'a'), [{ jobId: 'gap' }]);
    listeners?.onGap();
    await waitUntil(() => jobs.length === 2);
    expect(ids()).toEqual(['gap', 'recent']);
    expect(errors).toEqual([]);
  });

  it('removes idle lanes from the index, and no others', async () => {
    for (const tenant of ['a', 'b', 'c']) await store.ring(laneOf(queue, tenant));
    await addJobs(store, laneOf(queue, 'd'), [{ jobId: 'later', delay: 3_600_000 }]);
    const { handle } = completing();
    await start({ handle });
    await waitUntil(async () => (await store.listLanes(queue)).length === 1);
    expect(await store.listLanes(queue)).toEqual([laneOf(queue, 'd')]);
    expect(errors).toEqual([]);
  });

  it('serves other lanes while takes from one fail, and that lane once they succeed', async () => {
    const [bad, good] = [laneOf(queue, 'bad'), laneOf(queue, 'good')];
    await addJobs(store, bad, [{ jobId: 'bad' }]);
    await addJobs(store, good, manyJobs('good', 20));
    let isBroken = true;
    const broken = withTake(store, async (lane, real) => {
      if (isBroken && lane.tenant === 'bad') throw new Error('ERR out of order');
      return await real();
    });
    const { handle, jobs, ids } = completing();
    await start({ store: broken, handle });
    await waitUntil(() => jobs.length === 20 && errors.length > 0);
    expect(ids().filter((id) => id === 'bad')).toEqual([]);
    isBroken = false;
    await waitUntil(() => jobs.length === 21);
    expect(new Set(errors.map(String))).toEqual(new Set(['Error: ERR out of order']));
  });

  it('takes nothing while the store cannot be reached, or its caller says so', async () => {
    let listeners: StoreListeners | undefined;
    const observed: QueueStore = {
      ...store,
      async listen(names, given) {
        listeners = given;
        return await store.listen(names, given);
      },
    };
    let isAllowed = false;
    let asked = 0;
    const { handle, jobs } = completing();
    const reachable: boolean[] = [];
    const intake = await start({
      store: observed,
      handle,
      onReachable: (isReachable) => reachable.push(isReachable),
      mayTake() {
        asked += 1;
        return isAllowed;
      },
    });
    await addJobs(store, laneOf(queue, 'a'), [{ jobId: 'one' }]);
    await waitUntil(() => asked > 0 && intake.lanes() === 1);
    expect([jobs.length, intake.running()]).toEqual([0, 0]);
    listeners?.onReachable?.(false);
    isAllowed = true;
    intake.look();
    await waitUntil(async () => (await store.peek(laneOf(queue, 'a'), 1)).names.length === 1);
    expect(jobs).toHaveLength(0);
    listeners?.onReachable?.(true);
    await waitUntil(() => jobs.length === 1);
    expect(reachable).toEqual([false, true]);
  });

  it('takes without a look while any job of the policy would fit', async () => {
    let peeks = 0;
    const counted: QueueStore = {
      ...store,
      async peek(lane, count) {
        if (count > 1) peeks += 1;
        return await store.peek(lane, count);
      },
    };
    await addJobs(store, laneOf(queue, 'a'), manyJobs('job', 30, { name: `v1 ${2 * GIB} 1 0.5` }));
    const needs: unknown[] = [];
    await start({
      store: counted,
      mostNeeds: { memoryBytes: 8 * GIB, diskBytes: 8 * GIB, cpus: 2 },
      async handle(taken) {
        needs.push(taken.room.needs);
        await complete(taken);
      },
    });
    await waitUntil(() => needs.length === 30);
    expect(peeks).toBe(0);
    expect(new Set(needs.map((one) => JSON.stringify(one)))).toEqual(
      new Set([JSON.stringify({ memoryBytes: 2 * GIB, diskBytes: 1, cpus: 0.5 })]),
    );
  });
});
