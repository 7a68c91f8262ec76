/** What a client says about a job, from the store's record, whoever wrote it. */
import type { JobJson } from 'bullmq';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JobResult } from '../../../src/worker/job/job-result.ts';
import { readStatus } from '../../../src/worker/job/read-status.ts';
import { toWaitNote, waitsSince } from '../../../src/worker/job/wait-note.ts';

const place = { lane: { queue: 'mail', tenant: undefined, code: undefined }, id: 'abc' };

const result = (state: JobResult['state'], attempt: number): JobResult => ({
  state,
  attempt,
  error: null,
  retryable: false,
  startedAt: '2026-01-31T12:00:00.000Z',
  finishedAt: '2026-01-31T12:00:05.000Z',
  worker: 'host/1',
  code: null,
  progress: null,
  artefacts: [{ path: 'a', sizeBytes: 1 }],
  task: null,
});

const json = (more: Partial<JobJson> = {}): JobJson => ({
  id: 'abc',
  name: 'v1',
  data: JSON.stringify({ version: 1, stack: 'python-3.13', labels: { a: 'b' } }),
  opts: {},
  progress: 0,
  attemptsMade: 0,
  attemptsStarted: 0,
  timestamp: Date.parse('2026-01-31T11:00:00Z'),
  failedReason: '',
  returnvalue: 'null',
  stalledCounter: 0,
  ...more,
});

const traces = (...results: readonly JobResult[]) =>
  JSON.stringify(results.map((one) => JSON.stringify(one)));
const live = {
  state: 'running',
  attempt: 1,
  worker: 'host/1',
  task: 't1',
  startedAt: '2026-01-31T12:00:00.000Z',
  progress: '50%',
};

describe('the status of a job', () => {
  it('that waits', () => {
    expect(readStatus(place, { json: json(), list: 'waiting' })).toEqual({
      job: 'mail~~~abc',
      state: 'queued',
      stack: 'python-3.13',
      code: null,
      labels: { a: 'b' },
      queuedAt: '2026-01-31T11:00:00.000Z',
      runAt: null,
      live: null,
      waiting: null,
      attempts: [],
      result: null,
    });
  });

  describe('that waits for a worker which can run it', () => {
    const wait = {
      code: 'ERR_STACKSHIM_STACK_NOT_FOUND',
      reason: 'resolve stack nope: no such stack',
      since: '2026-01-31T12:00:00.000Z',
      nextTryAt: '2026-01-31T12:00:05.000Z',
      triedUntil: '2026-01-31T12:10:00.000Z',
      worker: 'host/1',
    };
    const noted = (more: Partial<JobJson> = {}) =>
      json({ attemptsStarted: 2, progress: toWaitNote(wait, 2), delay: 5000, ...more });

    it('tells the reason, since when, and until when it is tried', () => {
      expect(readStatus(place, { json: noted(), list: 'delayed' })).toMatchObject({
        state: 'queued',
        runAt: wait.nextTryAt,
        waiting: wait,
      });
      expect(readStatus(place, { json: noted(), list: 'waiting' })).toMatchObject({
        state: 'queued',
        runAt: null,
        waiting: wait,
      });
    });

    it.each([
      ['while it runs', {}, 'active'],
      ['once it was taken again', { attemptsStarted: 3 }, 'delayed'],
      ['once it was queued again', { attemptsStarted: 0 }, 'waiting'],
      ['once it has ended', { stacktrace: traces(result('error', 0)) }, 'failed'],
      ['by a note without a time', { progress: { ...toWaitNote(wait, 2), since: 1 } }, 'delayed'],
    ] as const)('and nothing %s', (_, more, list) => {
      expect(readStatus(place, { json: noted(more), list }).waiting).toBeNull();
    });

    it('keeps when it began to wait, as long as the reason is the same', () => {
      const job = { progress: toWaitNote(wait, 2), attemptsStarted: 3 };
      expect(waitsSince(job, wait.code)).toBe(wait.since);
      expect(waitsSince(job, 'ERR_STACKSHIM_PACKAGE_NOT_FOUND')).toBeUndefined();
      expect(waitsSince({ ...job, attemptsStarted: 4 }, wait.code)).toBeUndefined();
    });
  });

  it('that is delayed, at first or after an attempt', () => {
    expect(readStatus(place, { json: json({ delay: 60_000 }), list: 'delayed' })).toMatchObject({
      state: 'queued',
      runAt: '2026-01-31T11:01:00.000Z',
    });
    const again = json({ delay: 60_000, stacktrace: traces(result('error', 1)) });
    expect(readStatus(place, { json: again, list: 'delayed' })).toMatchObject({
      state: 'queued',
      runAt: '2026-01-31T12:01:05.000Z',
      attempts: [result('error', 1)],
    });
  });

  it('that runs, or is about to', () => {
    expect(readStatus(place, { json: json(), list: 'active' })).toMatchObject({
      state: 'preparing',
      live: null,
    });
    expect(readStatus(place, { json: json({ progress: live }), list: 'active' })).toMatchObject({
      state: 'running',
      live,
    });
    expect(readStatus(place, { json: json({ progress: live }), list: 'waiting' })).toMatchObject({
      state: 'queued',
      live: null,
    });
  });

  it('that is cancelled before a worker has ended it', () => {
    const data = JSON.stringify({
      version: 1,
      stack: 's',
      cancelled: { at: '2026-01-31T12:00:00Z' },
    });
    const seen = (list: string) => readStatus(place, { json: json({ data }), list }).state;
    expect(seen('waiting')).toBe('cancelled');
    expect(seen('prioritized')).toBe('cancelled');
    expect(seen('delayed')).toBe('cancelled');
    expect(seen('active')).toBe('preparing');
  });

  it('that has ended: the result, and the attempts before it', () => {
    const first = result('error', 1);
    const completed = json({
      returnvalue: JSON.stringify(result('complete', 2)),
      stacktrace: traces(first),
    });
    expect(readStatus(place, { json: completed, list: 'completed' })).toMatchObject({
      state: 'complete',
      attempts: [first],
      result: result('complete', 2),
    });
    const failed = json({
      stacktrace: traces(first, result('timeout', 2)),
      failedReason: 'timeout',
    });
    expect(readStatus(place, { json: failed, list: 'failed' })).toMatchObject({
      state: 'timeout',
      attempts: [first],
      result: result('timeout', 2),
    });
  });

  it('that something else ended', () => {
    const foreign = json({ failedReason: 'job stalled', stacktrace: '["Error: at x"]' });
    expect(readStatus(place, { json: foreign, list: 'failed' })).toMatchObject({
      state: 'error',
      attempts: [],
      result: { error: { code: 'ERR_STACKSHIM_JOB_RESULT_UNKNOWN' }, task: null },
    });
    expect(
      readStatus(place, { json: json({ returnvalue: '{"ok":1}' }), list: 'completed' }),
    ).toMatchObject({ state: 'error' });
  });

  it('is told for any record that a hostile producer can write', () => {
    const lists = ['waiting', 'active', 'completed', 'failed', 'delayed', 'unknown', 'x'];
    const texts = fc.oneof(
      fc.string(),
      fc.json(),
      fc.constantFrom('{"state":"complete","artefacts":[null],"task":7}', '["{}","{"]', '[[[['),
    );
    fc.assert(
      fc.property(
        fc.record({ data: texts, returnvalue: texts, stacktrace: texts, failedReason: texts }),
        fc.record({ progress: fc.anything(), timestamp: fc.double(), delay: fc.double() }),
        fc.constantFrom(...lists),
        (written, more, list) => {
          const status = readStatus(place, {
            json: json({ ...written, ...(more as object) }),
            list,
          });
          JSON.stringify(status);
        },
      ),
      { numRuns: 2000, seed: 20_260_103 },
    );
  });
});
