/** Which jobs the intake takes, and when, on real stores. The handlers of the tests wait for conditions, never for a time. */
import { afterEach, describe, expect, it } from 'vitest';
import { monotonicMs } from '../../src/sys/clocks.ts';
import type { Intake } from '../../src/worker/intake/start-intake.ts';
import type { TakenJob } from '../../src/worker/taken-job.ts';
import { useIntakeBed } from '../support/queues/intake-bed.ts';
import { addJobs, laneOf, manyJobs, queueOf } from '../support/queues/lanes.ts';
import { complete, GIB, openTestBudget } from '../support/queues/start-test-intake.ts';
import { STORE_KINDS } from '../support/queues/store-kinds.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

describe.each(STORE_KINDS)('on %s', (_, startServer) => {
  const bed = useIntakeBed(startServer, { lockMs: 30_000, stalledLookMs: 200 });

  afterEach(() => expect(bed.errors).toEqual([]));

  it('serves tenants with few jobs beside a tenant with many, among idle lanes', async () => {
    for (let idle = 0; idle < 300; idle += 1)
      await bed.store.ring(laneOf(bed.queue, `idle-${idle}`));
    const [big, middle, small] = ['big', 'middle', 'small'].map((name) => laneOf(bed.queue, name));
    if (!big || !middle || !small) throw new Error('no lanes');
    await addJobs(bed.store, big, manyJobs('big', 400));
    await addJobs(bed.store, middle, manyJobs('middle', 100));
    await addJobs(bed.store, small, manyJobs('small', 10));
    const done: Record<string, number> = { big: 0, middle: 0, small: 0 };
    const bigWhen: Record<string, number> = {};
    let areFound = false;
    let last = Promise.resolve();
    const intake: Intake = await bed.start({
      async handle(taken) {
        // The lanes are found one after another.
        if (!areFound) await waitUntil(() => areFound || intake.lanes() === 3);
        areFound = true;
        // One after the other: a connection that the machine holds up must not let the jobs of one tenant overtake the others.
        last = last.then(() => complete(taken));
        await last;
        const tenant = taken.lane.tenant ?? '';
        done[tenant] = (done[tenant] ?? 0) + 1;
        bigWhen[`${tenant}-${done[tenant]}`] = done['big'] ?? 0;
      },
    });
    await waitUntil(() => done['big'] === 400);
    expect(done).toEqual({ big: 400, middle: 100, small: 10 });
    // An equal share each, and what was under way at the beginning.
    expect(bigWhen['small-10']).toBeLessThanOrEqual(10 + 16);
    expect(bigWhen['middle-100']).toBeLessThanOrEqual(100 + 16);
  });

  it('leaves half of the places to short jobs while long jobs of another tenant wait', async () => {
    const [short, long] = [laneOf(bed.queue, 'short'), laneOf(bed.queue, 'long')];
    const ended = { short: 0, long: 0 };
    let isAdded = false;
    let begun = 0;
    await addJobs(bed.store, short, manyJobs('short', 200));
    await bed.start({
      concurrency: 8,
      async handle(taken) {
        begun += 1;
        const isLong = taken.lane.tenant === 'long';
        if (isLong) await waitUntil(() => ended.short === 200);
        else await waitUntil(() => isAdded);
        await complete(taken);
        ended[isLong ? 'long' : 'short'] += 1;
      },
    });
    // A lane that is found first has all places: the long jobs would keep them.
    await waitUntil(() => begun === 8);
    await addJobs(bed.store, long, manyJobs('long', 20));
    isAdded = true;
    await waitUntil(() => ended.long === 20);
    expect(ended.short).toBe(200);
  });

  it('never exceeds the concurrency, nor the maximum of a tenant', async () => {
    const lanes = ['a', 'b', 'c'].map((name) => laneOf(bed.queue, name));
    for (const lane of lanes) await addJobs(bed.store, lane, manyJobs('job', 30));
    const now = { all: 0, a: 0 };
    const most = { all: 0, a: 0 };
    let ended = 0;
    await bed.start({
      concurrency: 5,
      policyOf: (tenant) => ({ weight: 100, ...(tenant === 'a' ? { maxTasks: 1 } : {}) }),
      async handle(taken) {
        now.all += 1;
        if (taken.lane.tenant === 'a') now.a += 1;
        most.all = Math.max(most.all, now.all);
        most.a = Math.max(most.a, now.a);
        await complete(taken);
        now.all -= 1;
        if (taken.lane.tenant === 'a') now.a -= 1;
        ended += 1;
      },
    });
    await waitUntil(() => ended === 90);
    expect(most.a).toBe(1);
    expect(most.all).toBeLessThanOrEqual(5);
  });

  it('gives places in proportion to the weights of tenants and queues', async () => {
    const other = `${bed.queue}-other`;
    const lanes = [laneOf(bed.queue, 'light'), laneOf(bed.queue, 'heavy'), laneOf(other, 'third')];
    for (const lane of lanes) await addJobs(bed.store, lane, manyJobs('job', 80));
    const held: Record<string, number> = {};
    let foundAtMs = Number.POSITIVE_INFINITY;
    let isOver = false;
    const intake: Intake = await bed.start({
      concurrency: 24,
      queues: [
        { name: bed.queue, weight: 1 },
        { name: other, weight: 3 },
      ],
      policyOf: (tenant) => ({ weight: tenant === 'heavy' ? 200 : 100 }),
      async handle(taken) {
        // The lanes that are found first have all places until then.
        if (taken.sentAtMs < foundAtMs) {
          await waitUntil(() => intake.lanes() === 3);
          foundAtMs = Math.min(foundAtMs, monotonicMs());
        } else {
          const tenant = taken.lane.tenant ?? '';
          held[tenant] = (held[tenant] ?? 0) + 1;
          await waitUntil(() => isOver);
        }
        await complete(taken);
      },
    });
    const sum = () => Object.values(held).reduce((all, one) => all + one, 0);
    await waitUntil(() => sum() === 24);
    isOver = true;
    const { light = 0, heavy = 0, third = 0 } = held;
    // A look at the next jobs of a lane counts as a job of the lane: one of each other lane may be too many.
    for (const [count, share] of [
      [light, 4],
      [heavy, 8],
      [third, 12],
    ] as const) {
      expect(Math.abs(count - share)).toBeLessThanOrEqual(2);
    }
  });

  it('takes jobs of a lane by priority, and delayed jobs when they are due', async () => {
    const lane = laneOf(bed.queue, 'a');
    const delayMs = 300;
    await addJobs(bed.store, lane, [
      { jobId: 'late', delay: delayMs },
      { jobId: 'low', priority: 5 },
      { jobId: 'high', priority: 1 },
      { jobId: 'none' },
    ]);
    const order: string[] = [];
    let waitedMs = 0;
    await bed.start({
      concurrency: 1,
      async handle(taken) {
        order.push(taken.id);
        if (taken.id === 'late') waitedMs = Date.now() - taken.job.timestamp;
        await complete(taken);
      },
    });
    await waitUntil(() => order.length === 4);
    // On a slow machine the delayed job may be due before the others are taken.
    expect(order.filter((id) => id !== 'late')).toEqual(['none', 'high', 'low']);
    expect(waitedMs).toBeGreaterThanOrEqual(delayMs);
  });

  it('finds jobs by the bell, also of lanes that were empty before', async () => {
    const seen: string[] = [];
    const intake = await bed.start({
      async handle(taken) {
        seen.push(`${taken.lane.tenant}/${taken.id}`);
        await complete(taken);
      },
    });
    await addJobs(bed.store, laneOf(bed.queue, 'a'), [{ jobId: 'one' }]);
    await waitUntil(() => seen.length === 1 && intake.lanes() === 0);
    await addJobs(bed.store, laneOf(bed.queue, 'a'), [{ jobId: 'two' }]);
    await waitUntil(() => seen.length === 2);
    expect(seen).toEqual(['a/one', 'a/two']);
  });

  it('takes a job again that its handler handed back, and one that it delayed', async () => {
    const starts: string[] = [];
    await addJobs(bed.store, laneOf(bed.queue, 'a'), [{ jobId: 'again' }]);
    await addJobs(bed.store, laneOf(bed.queue, 'b'), [{ jobId: 'later' }]);
    await bed.start({
      async handle(taken) {
        const { id, backend, token } = taken;
        starts.push(id);
        const isFirst = starts.filter((one) => one === id).length === 1;
        if (!isFirst) await complete(taken);
        else if (id === 'again') await backend.retryJob(id, false, token);
        else await backend.moveToDelayed(id, Date.now() + 50, 50, token);
      },
    });
    await waitUntil(() => starts.length === 4);
    expect(starts.toSorted()).toEqual(['again', 'again', 'later', 'later']);
  });

  it('adds the next job of a schedule when one is taken', async () => {
    const lane = laneOf(bed.queue, 'a');
    await bed.store.announce(lane, () =>
      queueOf(bed.store, lane).upsertJobScheduler(
        'often',
        { every: 100 },
        { name: 'v1', data: {} },
      ),
    );
    const ids = new Set<string>();
    await bed.start({
      async handle(taken) {
        ids.add(taken.id);
        await complete(taken);
      },
    });
    await waitUntil(() => ids.size >= 3);
    await queueOf(bed.store, lane).removeJobScheduler('often');
  });

  it('keeps the cap of a package over two workers', async () => {
    const lane = laneOf(bed.queue, 'a', 'code');
    const digest = `sha256:${'0'.repeat(64)}`;
    await bed.store.catalogue.put(
      new Map([['code/a/code', { digest, since: '2026-01-01T00:00:00.000Z', maxConcurrency: 2 }]]),
    );
    await addJobs(bed.store, lane, manyJobs('job', 30));
    let [now, most, ended] = [0, 0, 0];
    const handle = async (taken: TakenJob) => {
      now += 1;
      most = Math.max(most, now);
      // Completing first would let the store give the place to the other worker.
      now -= 1;
      await complete(taken);
      ended += 1;
    };
    await bed.start({ handle });
    await bed.start({ handle });
    await waitUntil(() => ended === 30);
    expect(most).toBeLessThanOrEqual(2);
    expect(await queueOf(bed.store, lane).getGlobalConcurrency()).toBe(2);
  });

  it('hands back what the store gives after the end of taking, without a trace', async () => {
    const lane = laneOf(bed.queue, 'a');
    await addJobs(bed.store, lane, manyJobs('job', 50));
    let isStopped = false;
    const taken: string[] = [];
    const intake = await bed.start({
      async handle(job) {
        expect(isStopped).toBe(false);
        taken.push(job.id);
        await complete(job);
      },
    });
    await waitUntil(() => taken.length > 5);
    await intake.stopTaking();
    isStopped = true;
    await intake.idle();
    const counts = await queueOf(bed.store, lane).getJobCounts('wait', 'active', 'completed');
    expect(counts).toEqual({ active: 0, completed: taken.length, wait: 50 - taken.length });
  });

  it('takes only jobs that fit, and keeps room free for a large job', async () => {
    const budget = openTestBudget({ jobs: 4 });
    const large = `v1 ${4 * GIB} ${GIB} 1`;
    await addJobs(bed.store, laneOf(bed.queue, 'small'), manyJobs('small', 60));
    const order: string[] = [];
    let used = 0;
    let isAdded = false;
    await bed.start({
      budget,
      pace: { keepRoomAfterMs: 0 },
      async handle(taken) {
        used += taken.room.needs.memoryBytes;
        expect(used).toBeLessThanOrEqual(4 * GIB);
        if (order.length === 0) await waitUntil(() => isAdded);
        order.push(taken.id);
        await complete(taken);
        used -= taken.room.needs.memoryBytes;
      },
    });
    await addJobs(bed.store, laneOf(bed.queue, 'large'), [{ jobId: 'large', name: large }]);
    isAdded = true;
    await waitUntil(() => order.length === 61);
    expect(order.indexOf('large')).toBeLessThan(60);
    budget.close();
  });

  it('is not held up by a job that this machine can never hold, and leaves one alone that holds up none', async () => {
    const budget = openTestBudget({ jobs: 4 });
    const huge = `v1 ${99 * GIB} 0 1`;
    await addJobs(bed.store, laneOf(bed.queue, 'alone'), [{ jobId: 'alone', name: huge }]);
    const taken: string[] = [];
    await bed.start({
      budget,
      pace: { tooLargeAfterMs: 1e9, tooLargeHoldMs: 0 },
      async handle({ id, backend, token, job }) {
        taken.push(id);
        const options = { skipAttempt: true };
        if (id === 'huge') await backend.moveToDelayed(id, Date.now(), 60_000, token, options);
        else await backend.moveToCompleted(job, 'done', false, token, false);
      },
    });
    const small = manyJobs('small', 5);
    await addJobs(bed.store, laneOf(bed.queue, 'a'), [{ jobId: 'huge', name: huge }, ...small]);
    await waitUntil(() => taken.length === 6);
    expect(taken.toSorted()).toEqual(['huge', ...small.map(({ jobId }) => jobId)]);
    budget.close();
  });

  it('leaves a job waiting that lacks room because the disk is full', async () => {
    let free = GIB;
    const budget = openTestBudget({ jobs: 4, freeDiskBytes: () => free });
    await addJobs(bed.store, laneOf(bed.queue, 'a'), [
      { jobId: 'wide', name: `v1 ${GIB} ${4 * GIB} 1` },
    ]);
    const narrow = `v1 ${GIB} 0 1`;
    await addJobs(bed.store, laneOf(bed.queue, 'b'), manyJobs('narrow', 3, { name: narrow }));
    const order: string[] = [];
    await bed.start({
      budget,
      pace: { tooLargeAfterMs: 0, keepRoomAfterMs: 0 },
      async handle(taken) {
        order.push(taken.id);
        await complete(taken);
        if (order.length === 3) free = 8 * GIB;
      },
    });
    await waitUntil(() => order.length === 4);
    expect(order.at(-1)).toBe('wide');
    budget.close();
  });

  it('takes a job that this machine can never hold after a time, for its handler to refuse', async () => {
    const budget = openTestBudget({ jobs: 4 });
    await addJobs(bed.store, laneOf(bed.queue, 'a'), [
      { jobId: 'huge', name: `v1 ${99 * GIB} 0 1` },
    ]);
    let refused: unknown;
    await bed.start({
      budget,
      pace: { tooLargeAfterMs: 0 },
      async handle(taken) {
        const needs = { memoryBytes: 99 * GIB, diskBytes: 0, cpus: 1 };
        refused = await taken.room
          .resize(needs, new AbortController().signal)
          .catch((error: unknown) => error);
        await complete(taken);
      },
    });
    await waitUntil(() => refused);
    expect(refused).toMatchObject({ code: 'ERR_STACKSHIM_HOST_EXHAUSTED' });
    budget.close();
  });
});
