/** The intake beside dead workers, late replies, lost messages, a store with faults, and entries that a hostile producer wrote. */
import type { IQueueBackend } from 'bullmq';
import { describe, expect, it } from 'vitest';
import { monotonicMs } from '../../src/sys/clocks.ts';
import type { Lane } from '../../src/worker/job/lane.ts';
import { openStore } from '../../src/worker/queue-store/open-store.ts';
import type { QueueStore, StoreListeners } from '../../src/worker/queue-store/queue-store.ts';
import type { TakenJob } from '../../src/worker/taken-job.ts';
import { useIntakeBed } from '../support/queues/intake-bed.ts';
import { addJobs, laneOf, manyJobs, queueOf } from '../support/queues/lanes.ts';
import { complete, endIntake, GIB } from '../support/queues/start-test-intake.ts';
import { STORE_KINDS } from '../support/queues/store-kinds.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

/** A busy machine must have time to complete a job. */
const LOCK_MS = 3_000;
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
  const bed = useIntakeBed(startServer, options);

  it('takes the jobs of a worker that died, once their locks have expired', async () => {
    const lane = laneOf(bed.queue, 'a');
    await addJobs(bed.store, lane, manyJobs('job', 3));
    await bed.store.noteActive(lane);
    for (const token of ['one', 'two']) await bed.store.backend(lane).moveToActive(token);
    const { handle, ids, jobs } = completing();
    await bed.start({ handle });
    await waitUntil(() => jobs.length === 3);
    expect(ids()).toEqual(['job-0', 'job-1', 'job-2']);
    expect(jobs.map(({ job }) => job.stalledCounter).toSorted()).toEqual([0, 1, 1]);
    expect(bed.errors).toEqual([]);
  });

  it('says nothing of a look that its own end cut short', async () => {
    const store = await openStore(bed.server.url, options);
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    let cut: Promise<number> | undefined;
    const serverTimeMs = () => {
      cut ??= ended.then(store.serverTimeMs);
      return cut;
    };
    const intake = await bed.start({ store: { ...store, serverTimeMs }, handle: complete });
    await endIntake(intake);
    await store.close();
    end();
    await expect(cut).rejects.toMatchObject({ code: 'ERR_STACKSHIM_STORE_CLOSED' });
    await new Promise(setImmediate);
    expect(bed.errors).toEqual([]);
  });

  it('hands back a job that came with a late reply, and takes it again', async () => {
    const lane = laneOf(bed.queue, 'a');
    await addJobs(bed.store, lane, [{ jobId: 'late' }]);
    let [lateMs, takes] = [0, 0];
    const slow = withTake(bed.store, async (_, real) => {
      const reply = await real();
      takes += 1;
      if (takes === 1) lateMs = LOCK_MS / 2 + 1;
      return reply;
    });
    const clock = { monotonicMs: () => monotonicMs() + lateMs, epochMs: Date.now };
    const { handle, jobs } = completing();
    await bed.start({ store: slow, clock, handle });
    await waitUntil(() => jobs.length === 1);
    const [taken] = jobs;
    expect([taken?.id, taken?.job.attemptsStarted, taken?.job.attemptsMade]).toEqual([
      'late',
      2,
      0,
    ]);
    const counts = await queueOf(bed.store, lane).getJobCounts('active', 'wait', 'completed');
    expect(counts).toEqual({ active: 0, completed: 1, wait: 0 });
    expect(bed.errors).toEqual([]);
  });

  it('finds jobs whose bells were lost: by its looks, and after a gap', async () => {
    let listeners: StoreListeners | undefined;
    const deaf: QueueStore = {
      ...bed.store,
      async listen(names, given) {
        listeners = given;
        return await bed.store.listen(names, { ...given, onBell: () => undefined });
      },
    };
    const { handle, jobs, ids } = completing();
    const first = await bed.start({ store: deaf, handle, pace: { recentLookMs: 50 } });
    await addJobs(bed.store, laneOf(bed.queue, 'a'), [{ jobId: 'recent' }]);
    await waitUntil(() => jobs.length === 1);
    await endIntake(first);
    await bed.start({ store: deaf, handle });
    await addJobs(bed.store, laneOf(bed.queue, 'a'), [{ jobId: 'gap' }]);
    listeners?.onGap();
    await waitUntil(() => jobs.length === 2);
    expect(ids()).toEqual(['gap', 'recent']);
    expect(bed.errors).toEqual([]);
  });

  it('begins with all lanes, although the bell of one is heard before its first look has ended', async () => {
    const [early, found] = [laneOf(bed.queue, 'early'), laneOf(bed.queue, 'found')];
    await addJobs(bed.store, found, manyJobs('found', 20));
    let goOn: () => void = () => undefined;
    const isAdded = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const rung = new Set<unknown>();
    const slow: QueueStore = {
      ...bed.store,
      listen: (names, given) =>
        bed.store.listen(names, {
          ...given,
          onBell(lane) {
            given.onBell(lane);
            rung.add(lane.tenant);
          },
        }),
      async listLanes(...asked) {
        const lanes = await bed.store.listLanes(...asked);
        await isAdded;
        return lanes;
      },
    };
    const tenants: unknown[] = [];
    let isOver = false;
    const intake = await bed.start({
      store: slow,
      concurrency: 8,
      pace: { firstLookMs: 60_000 },
      async handle(taken) {
        tenants.push(taken.lane.tenant);
        await waitUntil(() => isOver);
        await complete(taken);
      },
    });
    await addJobs(bed.store, early, manyJobs('early', 20));
    await waitUntil(() => rung.has('early'));
    goOn();
    await waitUntil(() => tenants.length === 8);
    isOver = true;
    await intake.stopTaking();
    expect(tenants.slice(0, 8).filter((tenant) => tenant === 'found')).toHaveLength(4);
    expect(bed.errors).toEqual([]);
  });

  it('takes jobs although its first look does not end', async () => {
    const never: QueueStore = { ...bed.store, listLanes: () => new Promise(() => undefined) };
    const { handle, jobs } = completing();
    await bed.start({ store: never, handle, pace: { firstLookMs: 50 } });
    await addJobs(bed.store, laneOf(bed.queue, 'a'), [{ jobId: 'one' }]);
    await waitUntil(() => jobs.length === 1);
    expect(bed.errors).toEqual([]);
  });

  it('removes idle lanes from the index, and no others', async () => {
    for (const tenant of ['a', 'b', 'c']) await bed.store.ring(laneOf(bed.queue, tenant));
    await addJobs(bed.store, laneOf(bed.queue, 'd'), [{ jobId: 'later', delay: 3_600_000 }]);
    const { handle } = completing();
    await bed.start({ handle });
    await waitUntil(async () => (await bed.store.listLanes(bed.queue)).length === 1);
    expect(await bed.store.listLanes(bed.queue)).toEqual([laneOf(bed.queue, 'd')]);
    expect(bed.errors).toEqual([]);
  });

  it('serves other lanes while takes from one fail, and that lane once they succeed', async () => {
    const [bad, good] = [laneOf(bed.queue, 'bad'), laneOf(bed.queue, 'good')];
    await addJobs(bed.store, bad, [{ jobId: 'bad' }]);
    await addJobs(bed.store, good, manyJobs('good', 20));
    let isBroken = true;
    const broken = withTake(bed.store, async (lane, real) => {
      if (isBroken && lane.tenant === 'bad') throw new Error('ERR out of order');
      return await real();
    });
    const { handle, jobs, ids } = completing();
    await bed.start({ store: broken, handle });
    await waitUntil(() => jobs.length === 20 && bed.errors.length > 0);
    expect(ids().filter((id) => id === 'bad')).toEqual([]);
    isBroken = false;
    await waitUntil(() => jobs.length === 21);
    expect(new Set(bed.errors.map(String))).toEqual(new Set(['Error: ERR out of order']));
  });

  it('takes nothing while the store cannot be reached', async () => {
    let listeners: StoreListeners | undefined;
    const observed: QueueStore = {
      ...bed.store,
      async listen(names, given) {
        listeners = given;
        return await bed.store.listen(names, given);
      },
    };
    const { handle, jobs } = completing();
    const reachable: boolean[] = [];
    const intake = await bed.start({
      store: observed,
      handle,
      onReachable: (isReachable) => reachable.push(isReachable),
    });
    listeners?.onReachable?.(false);
    await addJobs(bed.store, laneOf(bed.queue, 'a'), [{ jobId: 'one' }]);
    await waitUntil(
      async () =>
        intake.lanes() === 1 &&
        (await bed.store.peek(laneOf(bed.queue, 'a'), 1)).names.length === 1,
    );
    expect(jobs).toHaveLength(0);
    listeners?.onReachable?.(true);
    await waitUntil(() => jobs.length === 1);
    expect(reachable).toEqual([false, true]);
  });

  it('takes without a look while any job of the policy would fit', async () => {
    let peeks = 0;
    const counted: QueueStore = {
      ...bed.store,
      async peek(lane, count) {
        if (count > 1) peeks += 1;
        return await bed.store.peek(lane, count);
      },
    };
    await addJobs(
      bed.store,
      laneOf(bed.queue, 'a'),
      manyJobs('job', 30, { name: `v1 ${2 * GIB} 1 0.5` }),
    );
    const needs: unknown[] = [];
    await bed.start({
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
