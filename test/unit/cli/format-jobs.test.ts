/** The table of `queue status`. */
import { expect, it } from 'vitest';
import { formatJobs } from '../../../src/cli/print/format-jobs.ts';
import type { JobStatus } from '../../../src/worker/job/job-result.ts';

const queued: JobStatus = {
  job: 'mail~~~abc',
  state: 'queued',
  stack: 'nope',
  code: null,
  labels: {},
  queuedAt: '2026-01-31T11:59:00.000Z',
  runAt: null,
  live: null,
  waiting: null,
  attempts: [],
  result: null,
};
const waiting = {
  code: 'ERR_STACKSHIM_STACK_NOT_FOUND',
  reason: 'resolve stack nope: no such stack',
  since: '2026-01-31T12:00:00.000Z',
  nextTryAt: '2026-01-31T12:00:35.000Z',
  triedUntil: '2026-01-31T12:10:00.000Z',
  worker: 'host/1',
};
const show = (status: JobStatus) => formatJobs([status], Date.parse('2026-01-31T12:00:30Z'), true);

it('a job that waits for a worker which can run it tells why, since when, until when', () => {
  const runAt = waiting.nextTryAt;
  expect(show({ ...queued, runAt, waiting })).toContain(
    'waiting for 30s: resolve stack nope: no such stack; next try at 2026-01-31T12:00:35.000Z, at last at 2026-01-31T12:10:00.000Z',
  );
  expect(show({ ...queued, waiting: { ...waiting, triedUntil: null } })).toMatch(
    /; next try at 2026-01-31T12:00:35\.000Z\s*$/,
  );
  expect(show({ ...queued, runAt })).toContain('starts at 2026-01-31T12:00:35.000Z');
});
