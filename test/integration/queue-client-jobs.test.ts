/** What the client says about jobs and does with them, on a real store; jobs are taken by hand. */
import { mkdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JobLogPiece } from '../../src/worker/client/queues.ts';
import { parseJobName } from '../../src/worker/job/lane.ts';
import { SINCE, STORE_KINDS, stacked, textOf, useClientBed } from '../support/stores/client-bed.ts';
import { takeByHand } from '../support/stores/hand-worker.ts';

describe.each(STORE_KINDS)('on %s', (kind) => {
  const bed = useClientBed(kind);

  describe('a job', () => {
    it('is waited for, through its attempts', async () => {
      const { job } = await bed.queues.enqueue('wait', stacked);
      const waiting = bed.queues.wait(job);
      expect(await bed.queues.status(job)).toMatchObject({ state: 'queued' });
      const taken = await bed.take(job);
      expect(await bed.queues.status(job)).toMatchObject({ state: 'preparing' });
      await taken.job.updateProgress({
        state: 'running',
        attempt: 1,
        worker: 'w/1',
        task: 't',
        startedAt: SINCE,
        progress: 'half',
      });
      expect(await bed.queues.status(job)).toMatchObject({
        state: 'running',
        live: { progress: 'half' },
      });
      await taken.end('timeout');
      expect(await waiting).toMatchObject({ state: 'timeout', result: { attempt: 1 } });
    });

    it('that does not exist is an error of its own, whatever is asked', async () => {
      const none = 'wait~~~none';
      const missing = expect.objectContaining({ code: 'ERR_STACKSHIM_JOB_NOT_FOUND' });
      await expect(bed.queues.status(none)).rejects.toEqual(missing);
      await expect(bed.queues.wait(none)).rejects.toEqual(missing);
      await expect(textOf(bed.queues.logs(none))).rejects.toEqual(missing);
      await expect(bed.queues.outputs(none, bed.folder)).rejects.toEqual(missing);
      await expect(bed.queues.cancel(none)).rejects.toEqual(missing);
      await expect(bed.queues.retry(none)).rejects.toEqual(missing);
      await expect(bed.queues.remove(none)).rejects.toEqual(missing);
      await expect(bed.queues.status('no name')).rejects.toMatchObject({
        details: { field: 'job' },
      });
    });

    it('need not be waited for any longer', async () => {
      const { job } = await bed.queues.enqueue('wait', stacked, { delay: '1h' });
      const stop = new AbortController();
      const waiting = bed.queues.wait(job, { signal: stop.signal });
      stop.abort();
      await expect(waiting).rejects.toMatchObject({ code: 'ERR_STACKSHIM_JOB_WAIT_ABORTED' });
      await bed.queues.remove(job);
    });

    it('is cancelled while it waits, is delayed or runs', async () => {
      const waiting = await bed.queues.enqueue('cancel', stacked);
      const delayed = await bed.queues.enqueue('cancel', stacked, { delay: '1h' });
      const seen: string[] = [];
      const unlisten = await bed.store.listen(['cancel'], {
        onBell: () => undefined,
        onGap: () => undefined,
        onCancel: (_, id) => seen.push(id),
      });
      expect(await bed.queues.cancel(waiting.job, { by: 'me' })).toMatchObject({
        state: 'cancelled',
        result: null,
      });
      expect(await bed.queues.cancel(delayed.job)).toMatchObject({
        state: 'cancelled',
        runAt: null,
      });
      expect(await bed.queues.cancel(delayed.job)).toMatchObject({ state: 'cancelled' });
      expect(await bed.queues.wait(waiting.job)).toMatchObject({ state: 'cancelled' });
      const first = await bed.take(waiting.job);
      expect(first.job.data).toMatchObject({ cancelled: { by: 'me' }, stack: expect.any(String) });
      await first.end('cancelled');
      await (await bed.take(delayed.job)).end('cancelled');
      const running = await bed.queues.enqueue('cancel', stacked);
      const taken = await bed.take(running.job);
      expect(await bed.queues.cancel(running.job)).toMatchObject({ state: 'preparing' });
      await taken.end('cancelled');
      expect(await bed.queues.wait(running.job)).toMatchObject({
        state: 'cancelled',
        result: { attempt: 1 },
      });
      const ended = await bed.queues.enqueue('cancel', stacked);
      await (await bed.take(ended.job)).end('complete');
      await expect(bed.queues.cancel(ended.job)).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_JOB_CONFLICT',
      });
      expect(seen.length).toBeGreaterThanOrEqual(2);
      unlisten();
    });

    it('is queued again after its end, without the mark of a cancel', async () => {
      const { job } = await bed.queues.enqueue('retry', stacked);
      await expect(bed.queues.retry(job)).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_JOB_CONFLICT',
      });
      await bed.queues.cancel(job);
      await (await bed.take(job)).end('cancelled');
      expect(await bed.queues.retry(job)).toMatchObject({
        state: 'queued',
        attempts: [{ state: 'cancelled' }],
      });
      await (await bed.take(job)).end('complete');
      expect(await bed.queues.status(job)).toMatchObject({
        state: 'complete',
        attempts: [{ state: 'cancelled' }],
      });
      expect(await bed.queues.retry(job)).toMatchObject({ state: 'queued', result: null });
      await (await bed.take(job)).end('complete');
    });

    it('that is damaged can be looked at, cancelled and removed', async () => {
      const { job } = await bed.queues.enqueue('damage', stacked);
      // PostgreSQL keeps values of JSON only.
      await bed.damage(job, 'data', kind === 'redis' ? 'no JSON' : '"no object"');
      expect(await bed.queues.status(job)).toMatchObject({ state: 'queued', stack: null });
      expect(await bed.queues.list('damage')).toMatchObject([{ queued: 1 }]);
      expect(await bed.queues.cancel(job)).toMatchObject({ state: 'cancelled' });
      await bed.damage(job, 'progress', '["x"]');
      expect(await bed.queues.status(job)).toMatchObject({ state: 'cancelled', live: null });
      if (kind === 'redis') {
        await bed.damage(job, 'progress', '{');
        await expect(bed.queues.status(job)).rejects.toMatchObject({
          code: 'ERR_STACKSHIM_JOB_RESULT_UNKNOWN',
        });
        await bed.damage(job, 'progress', '0');
      }
      await bed.queues.remove(job);
      await expect(bed.queues.status(job)).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_JOB_NOT_FOUND',
      });
    });

    it('that runs is not removed; one that has ended is, with everything that was kept of it', async () => {
      const mine = await bed.open({
        artefacts: join(bed.folder, 'kept'),
        logs: join(bed.folder, 'logs'),
      });
      const { job } = await mine.enqueue('remove', stacked);
      const { lane, id } = parseJobName(job);
      const kept = join(bed.folder, 'kept', 'remove~~', id, '1');
      await mkdir(join(kept, 'sub'), { recursive: true });
      await mkdir(join(bed.folder, 'logs', 'remove~~'), { recursive: true });
      await writeFile(join(kept, 'sub', 'a'), 'content');
      await symlink('/etc/passwd', join(kept, 'link'));
      await writeFile(
        join(bed.folder, 'logs', 'remove~~', `${id}.ndjson`),
        '{"a":1,"t":0,"s":"out","d":"logged\\n"}\n',
      );
      const taken = await takeByHand(bed.store, lane);
      await expect(mine.remove(job)).rejects.toMatchObject({ code: 'ERR_STACKSHIM_JOB_CONFLICT' });
      await expect(mine.outputs(job, join(bed.folder, 'taken'))).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_JOB_CONFLICT',
      });
      await taken?.end('complete', { artefacts: [{ path: 'sub/a', sizeBytes: 7 }] });
      expect(await textOf(mine.logs(job))).toBe('logged\n');
      expect(await mine.outputs(job, join(bed.folder, 'taken'))).toEqual([
        { path: 'sub/a', sizeBytes: 7 },
      ]);
      expect(await readFile(join(bed.folder, 'taken', 'sub', 'a'), 'utf8')).toBe('content');
      expect(await readlink(join(bed.folder, 'taken', 'link'))).toBe('/etc/passwd');
      await expect(mine.outputs(job, join(bed.folder, 'taken'))).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_OUTPUT_FAILED',
      });
      await expect(bed.queues.outputs(job, bed.folder)).rejects.toMatchObject({
        details: { field: 'artefacts' },
      });
      await mine.remove(job);
      await expect(readFile(join(kept, 'sub', 'a'))).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(mine.status(job)).rejects.toMatchObject({ code: 'ERR_STACKSHIM_JOB_NOT_FOUND' });
      await mine.close();
    });
  });

  describe('logs', () => {
    it('are followed until the end, and tailed', async () => {
      const { job } = await bed.queues.enqueue('logs', stacked);
      const following = textOf(bed.queues.logs(job, { follow: true }));
      const taken = await bed.take(job);
      await taken.log('out', 'one\ntwo\nth');
      await taken.log('err', 'ree\n');
      await taken.backend.addLog(taken.job.id ?? '', 'no row');
      await taken.backend.addLog(taken.job.id ?? '', '{"a":1,"t":1e300,"s":"out","d":"x"}');
      await taken.backend.addLog(taken.job.id ?? '', '{"a":1,"t":5,"s":"err","b":"/wo="}');
      const pieces: JobLogPiece[] = [];
      for await (const piece of bed.queues.logs(job)) pieces.push(piece);
      expect(pieces.map(({ stream }) => stream)).toEqual(['stdout', 'stderr', 'stderr']);
      expect(pieces.at(-1)).toEqual({
        attempt: 1,
        at: '1970-01-01T00:00:00.005Z',
        stream: 'stderr',
        bytes: Buffer.from([0xff, 10]),
      });
      await taken.end('complete');
      expect(await following).toBe('one\ntwo\nthree\n\ufffd\n');
      expect(await textOf(bed.queues.logs(job, { tail: 2 }))).toBe('three\n\ufffd\n');
      expect(await textOf(bed.queues.logs(job, { tail: 0 }))).toBe('');
      expect(await textOf(bed.queues.logs(job, { tail: 99 }))).toBe('one\ntwo\nthree\n\ufffd\n');
    });

    it('are read to the end when there are more rows than one request gets', async () => {
      const { job } = await bed.queues.enqueue('logs', stacked);
      const taken = await bed.take(job);
      for (let i = 0; i < 450; i++) await taken.log('out', `${i}\n`);
      await taken.end('complete');
      expect((await textOf(bed.queues.logs(job))).split('\n')).toHaveLength(451);
    });
  });
});
