/** Which attempt follows which, and what is counted. */
import { describe, expect, it } from 'vitest';
import { StackshimError } from '../../../src/core/errors.ts';
import type { JobResult } from '../../../src/worker/job/job-result.ts';
import {
  countAttempts,
  parseHistory,
  toStoredHistory,
} from '../../../src/worker/run/attempt-history.ts';
import { type Before, chooseNextStep } from '../../../src/worker/run/choose-next-step.ts';
import { leaveMissing } from '../../../src/worker/run/elsewhere.ts';

const FAILED = {
  state: 'error',
  retryable: false,
  lackedMemory: false,
  isCancelled: false,
} as const;
const BEFORE: Before = {
  attempts: 0,
  platformFaults: 0,
  lackedMemory: false,
  deadWorkers: 0,
  countedAttempts: 0,
};
const TERMS = { retries: 2, delayMs: 1_000, backoff: 'fixed', hasMemoryRetry: false } as const;

describe('a job whose stack is missing', () => {
  const missing = new StackshimError('ERR_STACKSHIM_STACK_NOT_FOUND', 'no such stack');

  it('waits longer each time, and as long as the worker says', () => {
    const delays = [1, 2, 5, 6].map((starts) => leaveMissing(missing, starts, 130_000)?.delayMs);
    expect(delays).toEqual([5_000, 10_000, 60_000, undefined]);
  });

  it('is given up at once, however often the store says that it was started', () => {
    expect(leaveMissing(missing, Number.MAX_SAFE_INTEGER, 600_000)).toBeUndefined();
  });
});

describe('the next step', () => {
  it('is the end for a job that is complete or cancelled', () => {
    for (const state of ['complete', 'cancelled'] as const) {
      expect(chooseNextStep({ ...FAILED, state }, BEFORE, TERMS)).toEqual({ kind: 'end' });
    }
    const cancelled = { ...FAILED, isCancelled: true };
    expect(chooseNextStep(cancelled, BEFORE, TERMS)).toEqual({ kind: 'end' });
  });

  it.each(['error', 'timeout', 'killed'] as const)(
    'is an attempt after %s while any is left',
    (state) => {
      const step = (countedAttempts: number) =>
        chooseNextStep({ ...FAILED, state }, { ...BEFORE, countedAttempts }, TERMS);
      expect(step(0)).toEqual({ kind: 'again', delayMs: 1_000, isCounted: true });
      expect(step(1)).toEqual({ kind: 'again', delayMs: 1_000, isCounted: true });
      expect(step(2)).toEqual({ kind: 'end' });
    },
  );

  it('comes later each time if the job says so, but not later than in 30 days', () => {
    const terms = { ...TERMS, retries: 10, backoff: 'exponential' } as const;
    const delays = [0, 1, 2, 9].map((countedAttempts) => {
      const step = chooseNextStep(FAILED, { ...BEFORE, countedAttempts }, terms);
      return step.kind === 'again' ? step.delayMs : undefined;
    });
    expect(delays).toEqual([1_000, 2_000, 4_000, 512_000]);
    const long = { ...terms, delayMs: 30 * 24 * 3_600_000 };
    expect(chooseNextStep(FAILED, { ...BEFORE, countedAttempts: 9 }, long)).toMatchObject({
      delayMs: 30 * 24 * 3_600_000,
    });
  });

  it('is an attempt with more memory once, which does not count', () => {
    const terms = { ...TERMS, retries: 0, hasMemoryRetry: true };
    const killed = { ...FAILED, state: 'killed', lackedMemory: true } as const;
    expect(chooseNextStep(killed, BEFORE, terms)).toEqual({
      kind: 'again',
      delayMs: 0,
      isCounted: false,
    });
    expect(chooseNextStep(killed, { ...BEFORE, lackedMemory: true }, terms)).toEqual({
      kind: 'end',
    });
  });

  it('after faults of the platform is an attempt five times, whatever the job asks for', () => {
    const terms = { ...TERMS, retries: 0 };
    const steps = [0, 1, 4, 5].map((platformFaults) =>
      chooseNextStep({ ...FAILED, retryable: true }, { ...BEFORE, platformFaults }, terms),
    );
    expect(steps).toEqual([
      { kind: 'again', delayMs: 1_000, isCounted: false },
      { kind: 'again', delayMs: 2_000, isCounted: false },
      { kind: 'again', delayMs: 16_000, isCounted: false },
      { kind: 'give-up' },
    ]);
  });
});

const result = (attempt: number, more: Partial<JobResult> = {}): JobResult => ({
  state: 'error',
  attempt,
  error: null,
  retryable: false,
  startedAt: null,
  finishedAt: '2026-01-01T00:00:00.000Z',
  worker: 'host/1',
  code: null,
  progress: null,
  artefacts: [],
  task: null,
  ...more,
});
const error = (details: Readonly<Record<string, unknown>>) =>
  ({ code: 'ERR_STACKSHIM_SYSTEM', kind: 'internal', message: '', hint: '', details }) as const;

describe('the history', () => {
  it('is read as it was stored, the last 20 attempts of it', () => {
    let history: readonly JobResult[] = [];
    for (let attempt = 1; attempt <= 25; attempt++) {
      history = parseHistory(JSON.parse(toStoredHistory(history, result(attempt))));
    }
    expect(history.map(({ attempt }) => attempt)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 6),
    );
    expect(countAttempts(history).attempts).toBe(25);
  });

  it.each([undefined, null, 7, 'text', {}, [1, null, '', '{', 'null', '[]', '{"state":"error"}']])(
    '%j is none',
    (stored) => {
      expect(parseHistory(stored)).toEqual([]);
    },
  );

  it('counts faults of the platform in a row, from the last time that the job was given up', () => {
    const fault = result(1, { retryable: true });
    const last = result(1, { retryable: true, error: error({ givenUp: true }) });
    expect(countAttempts([fault, fault]).platformFaults).toBe(2);
    expect(countAttempts([fault, result(2), fault]).platformFaults).toBe(1);
    expect(countAttempts([fault, fault, last]).platformFaults).toBe(0);
    expect(countAttempts([last, fault]).platformFaults).toBe(1);
  });

  it('takes no number from a name that every object has', () => {
    const odd = result(1, { error: error(JSON.parse('{"__proto__":{"deadWorkers":9}}')) });
    expect(countAttempts([odd, result(Number.NaN), result(-1)])).toMatchObject({
      attempts: 1,
      deadWorkers: 0,
    });
  });
});
