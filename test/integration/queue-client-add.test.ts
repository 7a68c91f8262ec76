/** Jobs are queued by the client, on a real store. */
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

  describe('enqueue', () => {
    it('binds names to digests, and says what the job needs', async () => {
      const { job, status } = await bed.queues.enqueue('bind', {
        ...stacked,
        memory: '64m',
        cpus: 0.5,
        payload: Buffer.from([0, 255]),
        config: 'ü',
        labels: { a: 'b' },
      });
      expect(status).toBeNull();
      expect(job).toMatch(/^bind~~~[a-z2-7]{20}$/);
      const { job: taken, end } = await bed.take(job);
      expect(taken.name).toBe('v1 67108864 - 0.5');
      expect(taken.data).toEqual({
        version: 1,
        stack: `python-3.13@${digest('a')}`,
        command: ['true'],
        memory: '64m',
        cpus: 0.5,
        payloadBase64: 'AP8=',
        config: 'ü',
        labels: { a: 'b' },
      });
      await end('complete');
    });

    it("finds the tenant's own package, and gives a capped package a lane of its own", async () => {
      const plain = await bed.queues.enqueue('bind', { code: 'mailer' });
      const capped = await bed.queues.enqueue('bind', { code: 'mailer' }, { tenant: 'acme' });
      expect(plain.job).toMatch(/^bind~~~/);
      expect(capped.job).toMatch(/^bind~acme~mailer~/);
      const [first, second] = [await bed.take(plain.job), await bed.take(capped.job)];
      expect(first.job.data).toEqual({
        version: 1,
        code: `mailer@${digest('b')}`,
        stack: `python-3.13@${digest('a')}`,
      });
      expect(first.job.opts.priority).toBe(7);
      expect(second.job.data).toMatchObject({ code: `mailer@${digest('c')}` });
      await Promise.all([first.end('complete'), second.end('complete')]);
    });

    it('refuses names that nobody knows, unless they are left to the worker', async () => {
      const refusal = (code: string) => expect.objectContaining({ code });
      await expect(bed.queues.enqueue('bind', { stack: 'ruby-3.3' })).rejects.toEqual(
        refusal('ERR_STACKSHIM_STACK_NOT_FOUND'),
      );
      await expect(bed.queues.enqueue('bind', { stack: 'python-3.13@rev:3' })).rejects.toEqual(
        refusal('ERR_STACKSHIM_STACK_NOT_FOUND'),
      );
      await expect(
        bed.queues.enqueue('bind', { code: 'mailer' }, { tenant: 'other' }),
      ).rejects.toEqual(refusal('ERR_STACKSHIM_PACKAGE_NOT_FOUND'));
      const { job } = await bed.queues.enqueue(
        'bind',
        { stack: 'ruby-3.3@rev:3' },
        { unbound: true },
      );
      expect(await bed.queues.status(job)).toMatchObject({ stack: 'ruby-3.3@rev:3' });
      await (await bed.take(job)).end('error');
    });

    it.each([
      ['queue', 'a b', stacked, {}],
      ['tenant', 'q', stacked, { tenant: 'a/b' }],
      ['priority', 'q', stacked, { priority: -1 }],
      ['priority', 'q', stacked, { priority: 2_097_152 }],
      ['delay', 'q', stacked, { delay: '31 days' }],
      ['key', 'q', stacked, { key: 'a'.repeat(5000) }],
      ['network', 'q', { ...stacked, network: 'host' }, {}],
      ['payload', 'q', { ...stacked, payload: 'a'.repeat(70_000) }, {}],
      ['stack', 'q', {}, {}],
    ])('refuses an invalid %s: %#', async (field, queue, job, options) => {
      await expect(bed.queues.enqueue(queue, job, options)).rejects.toMatchObject({
        details: { field },
      });
      expect(await bed.store.listLanes('q')).toEqual([]);
    });

    it('adds a job with a key once, also after its end', async () => {
      const first = await bed.queues.enqueue('once', stacked, { key: 'invoice 7' });
      const again = await bed.queues.enqueue(
        'once',
        { ...stacked, memory: '1g' },
        { key: 'invoice 7' },
      );
      expect(again.job).toBe(first.job);
      expect(first.job).toMatch(/^once~~~once-[0-9a-f]{64}$/);
      await (await bed.take(first.job)).end('complete');
      expect(
        (await bed.queues.enqueue('once', stacked, { key: 'invoice 7', wait: true })).status,
      ).toMatchObject({
        state: 'complete',
      });
      const other = await bed.queues.enqueue('once', stacked, { key: 'invoice 7', tenant: 'acme' });
      expect(other.job).not.toBe(first.job);
    });

    it('goes by priority, and lets a delayed job wait', async () => {
      const low = await bed.queues.enqueue('order', stacked, { priority: 5 });
      const high = await bed.queues.enqueue('order', stacked);
      const later = await bed.queues.enqueue('order', stacked, { delay: '1h' });
      const status = await bed.queues.status(later.job);
      expect(Date.parse(status.runAt ?? '') - Date.parse(status.queuedAt)).toBe(3_600_000);
      await (await bed.take(high.job)).end('complete');
      await (await bed.take(low.job)).end('complete');
      expect(await takeByHand(bed.store, laneOf(low.job))).toBeUndefined();
    });

    it('waits until a store is back, and adds each job once', async () => {
      await bed.server.freeze();
      const adding = Array.from({ length: 20 }, (_, i) =>
        bed.queues.enqueue('outage', stacked, i % 2 === 0 ? {} : { key: `k${i}` }),
      );
      await bed.server.kill();
      await bed.server.start();
      const jobs = (await Promise.all(adding)).map(({ job }) => job);
      expect(new Set(jobs).size).toBe(20);
      expect(await bed.queues.list('outage')).toMatchObject([{ queued: 20, running: 0 }]);
    });
  });
});
