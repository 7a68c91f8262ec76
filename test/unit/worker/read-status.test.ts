/** What a client says about a job, from the store's record, whoever wrote it. */
import type { JobJson } from 'bullmq';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JobResult } from '../../../src/worker/job/job-result.ts';
import { readStatus } from '../../../src/worker/job/read-status.ts';

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
      attempts: [],
      result: null,
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
