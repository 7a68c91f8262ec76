/** What a client puts into the store is never more than a worker reads. */
import { expect, it } from 'vitest';
import { DEFAULT_POLICY } from '../../../src/spec/policy.ts';
import { toJobData } from '../../../src/worker/client/to-job-data.ts';

const terms = { ...DEFAULT_POLICY.jobs, payloadBytes: 1_048_576, configBytes: 1_048_576 };

it('a job that is large as JSON is refused, however small its parts are', () => {
  const text = '\u0001'.repeat(1_048_576);
  const job = { stack: 'busybox', payload: text };
  expect(toJobData(job, terms)).toMatchObject({ payload: text });
  expect(() => toJobData({ ...job, config: text }, terms)).toThrow(
    /^job: 12582\d+ bytes as JSON, more than 8m$/,
  );
});
