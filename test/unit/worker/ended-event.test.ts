/** What the log tells of the end of an attempt, whatever the job is. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JobResult } from '../../../src/worker/job/job-result.ts';
import { parseJobData } from '../../../src/worker/job/parse-job.ts';
import { toEndedEvent } from '../../../src/worker/run/ended-event.ts';
import { failedBefore, toJobResult } from '../../../src/worker/run/job-outcome.ts';

const facts = {
  ...{ attempt: 2, worker: 'host/1', code: null, progress: null, artefacts: [] },
  ...{ startedAt: null, finishedAt: new Date(0) },
};
const end = { job: 'mail~~~k3', attempt: 2, willRetry: false, durationMs: 12 };

const refused = (data: unknown): JobResult => {
  try {
    parseJobData(data);
  } catch (error) {
    return toJobResult(failedBefore(error), facts);
  }
  throw new Error('the job is valid');
};

describe('the event of an attempt that ended', () => {
  it('has the facts of the task', () => {
    const task = { id: 't1', verdict: 'failed', exitCode: 3, usage: { wallMs: 40 }, signal: null };
    const result = { ...facts, state: 'error', error: null, retryable: false, task };
    expect(toEndedEvent(result as unknown as JobResult, end)).toEqual({
      ...{ type: 'job_ended', ...end, state: 'error', retryable: false },
      ...{ task: 't1', verdict: 'failed', exitCode: 3, wallMs: 40, error: null },
      reason: 'error: the command ended with exit code 3',
    });
  });

  it('has the reason for which there was no task', () => {
    expect(toEndedEvent(refused({ version: 1 }), end)).toMatchObject({
      ...{ task: null, verdict: null, exitCode: null, wallMs: null },
      error: 'ERR_STACKSHIM_SPEC_INVALID',
      reason: 'error: stack: missing; a job names a stack, or a code package that has one',
    });
  });

  it('shows no value of the job', () => {
    const data = { version: 1, stack: 'a', payloadBase64: 'secret&', env: {} };
    const { reason } = toEndedEvent(refused(data), end);
    expect(reason).toMatch(/^error: payloadBase64/);
    expect(reason).not.toContain('secret');
    const labelled = refused({ version: 1, stack: 'a', timeout: 'secret' });
    expect(toEndedEvent(labelled, end).reason).toMatch(/^error: timeout "…": /);
  });

  it('is one bounded line that controls no terminal', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 800 }), (text) => {
        const { reason } = toEndedEvent(refused({ version: 1, [`x${text}`]: true }), end);
        expect(reason.length).toBeLessThanOrEqual(300);
        expect(reason).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      }),
    );
  });
});
