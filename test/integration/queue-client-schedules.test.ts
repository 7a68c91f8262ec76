/** Schedules and whole queues, by the client, on a real store; jobs are taken by hand. */
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import {
  digest,
  laneOf,
  STORE_KINDS,
  stacked,
  useClientBed,
} from '../support/stores/client-bed.ts';
import { takeByHand } from '../support/stores/hand-worker.ts';

describe.each(STORE_KINDS)('on %s', (kind) => {
  const bed = useClientBed(kind);

  describe('schedules', () => {
    it('are added, replaced, listed and removed', async () => {
      const made = await bed.queues.schedule('plan', 'nightly', {
        job: stacked,
        pattern: '0 3 * * *',
        tz: 'Europe/Berlin',
      });
      expect(made).toMatchObject({
        queue: 'plan',
        id: 'nightly',
        tenant: null,
        pattern: '0 3 * * *',
        tz: 'Europe/Berlin',
        everyMs: null,
        stack: 'python-3.13',
      });
      expect(Date.parse(made.nextAt ?? '')).toBeGreaterThan(Date.now());
      await bed.queues.schedule('plan', 'nightly', {
        job: { code: 'mailer' },
        every: '15m',
        tenant: 'acme',
        bound: true,
      });
      await bed.queues.schedule('plan', 'nightly', { job: stacked, every: '1h' });
      expect(await bed.queues.schedules('plan')).toMatchObject([
        { id: 'nightly', everyMs: 3_600_000, pattern: null, tenant: null },
        { id: 'nightly', everyMs: 900_000, tenant: 'acme', code: `mailer@${digest('c')}` },
      ]);
      expect(await bed.queues.schedules('plan', { tenant: 'acme' })).toHaveLength(1);
      await bed.queues.unschedule('plan', 'nightly');
      expect(await bed.queues.schedules('plan')).toMatchObject([{ tenant: 'acme' }]);
      await expect(bed.queues.unschedule('plan', 'nightly')).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_JOB_NOT_FOUND',
      });
    });

    it('queue jobs that say which schedule they are of, and go on', async () => {
      await bed.queues.schedule('tick', 'each', { job: { ...stacked, payload: 'x' }, every: 1000 });
      const lane = { queue: 'tick', tenant: undefined, code: undefined };
      const taken = await takeByHand(bed.store, lane);
      expect(taken?.job.data).toEqual({ version: 1, ...stacked, payload: 'x', scheduleId: 'each' });
      const job = `tick~~~${taken?.job.id}`;
      expect(await bed.queues.status(job)).toMatchObject({ job, state: 'preparing' });
      await taken?.end('complete');
      const [{ nextAt } = { nextAt: null }] = await bed.queues.schedules('tick');
      expect(nextAt).not.toBeNull();
      await bed.queues.unschedule('tick', 'each');
      expect(await bed.queues.status(job)).toMatchObject({ state: 'complete' });
    });

    it('do not lose their next job to remove', async () => {
      await bed.queues.schedule('keep', 'hourly', { job: stacked, every: '1h' });
      const [first] = await bed.store
        .backend({ queue: 'keep', tenant: undefined, code: undefined })
        .getRanges(['wait', 'delayed']);
      await expect(bed.queues.remove(`keep~~~${first}`)).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_JOB_CONFLICT',
      });
    });

    it.each([
      ['pattern', 'a', {}],
      ['pattern', 'a', { pattern: '0 3 * * *', every: 1000 }],
      ['pattern', 'a', { pattern: 'every day' }],
      ['pattern', 'a', { pattern: '99 3 * * *' }],
      ['tz', 'a', { every: 1000, tz: 'UTC' }],
      ['pattern', 'a', { pattern: '0 3 * * *', tz: 'Mars/Base' }],
      ['every', 'a', { every: 10 }],
      ['id', 'a:b', { every: 1000 }],
    ])('are refused with an invalid %s: %#', async (field, id, times) => {
      await expect(
        bed.queues.schedule('bad', id, { job: stacked, ...times }),
      ).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_SPEC_INVALID',
        details: { field },
      });
      await expect(bed.queues.schedules('bad')).resolves.toEqual([]);
    });

    it('are refused for a name that nobody knows', async () => {
      await expect(
        bed.queues.schedule('bad', 'a', { job: { stack: 'ruby-3.3' }, every: 1000 }),
      ).rejects.toMatchObject({ code: 'ERR_STACKSHIM_STACK_NOT_FOUND' });
    });
  });

  describe('a queue', () => {
    it('is paused for all tenants, those that come later included, and resumed', async () => {
      const early = await bed.queues.enqueue('pause', stacked, { tenant: 'early' });
      await bed.queues.pause('pause');
      const late = await bed.queues.enqueue('pause', stacked, { tenant: 'late' });
      expect(await bed.queues.list('pause')).toMatchObject([
        { tenant: 'early', isPaused: true, queued: 1 },
        { tenant: 'late', isPaused: true, queued: 1 },
      ]);
      expect(await takeByHand(bed.store, laneOf(early.job))).toBeUndefined();
      expect(await takeByHand(bed.store, laneOf(late.job))).toBeUndefined();
      await bed.queues.resume('pause');
      await (await bed.take(early.job)).end('complete');
      await (await bed.take(late.job)).end('complete');
    });

    it('is paused for one tenant, whose lane may have lost its jobs when it is resumed', async () => {
      const first = await bed.queues.enqueue('tenants', stacked, { tenant: 'a' });
      await bed.queues.enqueue('tenants', stacked, { tenant: 'b' });
      await bed.queues.pause('tenants', { tenant: 'a' });
      expect(await bed.queues.list('tenants')).toMatchObject([
        { tenant: 'a', isPaused: true },
        { tenant: 'b', isPaused: false },
      ]);
      await bed.queues.remove(first.job);
      expect(await bed.store.pruneLanes([laneOf(first.job)])).toHaveLength(1);
      await bed.queues.resume('tenants', { tenant: 'a' });
      const next = await bed.queues.enqueue('tenants', stacked, { tenant: 'a' });
      await (await bed.take(next.job)).end('complete');
    });

    it('stays paused for a tenant that is paused by itself', async () => {
      await bed.queues.pause('both');
      await bed.queues.pause('both', { tenant: 'a' });
      const [ofA, ofB] = await Promise.all([
        bed.queues.enqueue('both', stacked, { tenant: 'a' }),
        bed.queues.enqueue('both', stacked, { tenant: 'b' }),
      ]);
      await bed.queues.resume('both');
      expect(await bed.queues.list('both')).toMatchObject([
        { isPaused: true },
        { isPaused: false },
      ]);
      await (await bed.take(ofB.job)).end('complete');
      await bed.queues.resume('both', { tenant: 'a' });
      await (await bed.take(ofA.job)).end('complete');
    });

    it('is listed by lanes with the numbers of their jobs', async () => {
      const now = Date.now();
      const [first] = await Promise.all([
        bed.queues.enqueue('list', stacked, { priority: 3 }),
        bed.queues.enqueue('list', stacked, { delay: '1h' }),
      ]);
      const jobs = [
        await bed.queues.enqueue('list', stacked, { tenant: 'b' }),
        await bed.queues.enqueue('list', stacked, { tenant: 'b' }),
      ];
      await (await bed.take(jobs[0]?.job ?? '')).end('killed');
      await bed.take(jobs[1]?.job ?? '');
      const [none, ofB] = await bed.queues.list('list');
      expect(none).toMatchObject({ lane: 'list~~', queued: 2, delayed: 1, running: 0, failed: 0 });
      expect(Date.parse(none?.oldestAt ?? '')).toBeGreaterThanOrEqual(now - 1000);
      expect(ofB).toMatchObject({
        lane: 'list~b~',
        tenant: 'b',
        queued: 0,
        running: 1,
        failed: 1,
        oldestAt: null,
      });
      expect(await bed.queues.list('list', { tenant: 'b' })).toHaveLength(1);
      expect(await bed.queues.list('nothing')).toEqual([]);
      await (await bed.take(first.job)).end('complete');
    });
  });
});

describe('on redis', () => {
  const bed = useClientBed('redis');

  it.each([
    ['a time that none is', ['ZADD', 'repeat', '9000000000000000', 'mine'], 2],
    ['data that are not JSON', ['HSET', 'repeat:mine', 'data', 'x'], 1],
    ['a key of another kind', ['SET', 'repeat', 'x'], 1],
  ] as const)(
    'one tenant hides no schedule of another by %s',
    async (_, [name, key, ...args], count) => {
      const redis = new Redis(bed.server.url);
      await bed.queues.schedule('hide', 'mine', { job: stacked, every: '1h', tenant: 'evil' });
      await bed.queues.schedule('hide', 'theirs', { job: stacked, every: '1h', tenant: 'acme' });
      await redis.call(name, `stackshim:hide~evil~:${key}`, ...args);
      const shown = await bed.queues.schedules('hide');
      expect(shown).toContainEqual(expect.objectContaining({ id: 'theirs', tenant: 'acme' }));
      expect(shown).toHaveLength(count);
      await redis.del('stackshim:hide~evil~:repeat', 'stackshim:hide~evil~:repeat:mine');
      await redis.quit();
    },
  );
});
