/** Verdicts of tasks as states of jobs, and the tasks that jobs become. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { StackshimError } from '../../../src/core/errors.ts';
import type { TaskId } from '../../../src/core/ids.ts';
import { DEFAULT_POLICY } from '../../../src/spec/policy.ts';
import type { TaskResult, Verdict } from '../../../src/task/result.ts';
import { parseJobData } from '../../../src/worker/job/parse-job.ts';
import { listArtefacts } from '../../../src/worker/run/artefacts.ts';
import {
  countAttempts,
  parseHistory,
  toStoredHistory,
} from '../../../src/worker/run/attempt-history.ts';
import { failedBefore, toJobResult, toReason } from '../../../src/worker/run/job-outcome.ts';
import { toNeeds, toTaskRequest } from '../../../src/worker/run/to-task-request.ts';

const FACTS = {
  attempt: 1,
  worker: 'host/1',
  code: null,
  progress: null,
  artefacts: [],
  startedAt: null,
  finishedAt: new Date(0),
};

const taskOf = (verdict: Verdict, more: object = {}) =>
  ({ verdict, exitCode: 3, signal: null, error: null, retryable: false, ...more }) as TaskResult;
const resultOf = (verdict: Verdict, more: object = {}) =>
  toJobResult({ kind: 'task', task: taskOf(verdict, more) }, FACTS);

describe('a result', () => {
  it.each([
    ['succeeded', 'complete', 'complete: the command ended with exit code 0', { exitCode: 0 }],
    ['failed', 'error', 'error: the command ended with exit code 3', {}],
    ['signaled', 'error', 'error: SIGSEGV ended the command', { signal: 'SIGSEGV' }],
    ['timed_out', 'timeout', 'timeout: the task ran longer than its timeout', {}],
    ['oom_killed', 'killed', 'killed: oom_killed: the task ran out of memory', {}],
    ['cancelled', 'cancelled', 'cancelled: the task was ended by a request', {}],
  ] as const)('%s reads as %s', (verdict, state, reason, more) => {
    const result = resultOf(verdict, more);
    expect(result.state).toBe(state);
    expect(toReason(result)).toBe(reason);
  });

  it('is an error if the command succeeded, but its artefacts could not be kept', () => {
    const error = new StackshimError('ERR_STACKSHIM_OUTPUT_FAILED', 'take /out: no space left');
    const fault = { exitCode: 0, error: error.toJSON(), retryable: true };
    const result = resultOf('succeeded', fault);
    expect(result).toMatchObject({ state: 'error', retryable: true });
    expect(toReason(result)).toBe('error: take /out: no space left');
  });

  it('can be stored whatever its task was called, and names few of many outputs', () => {
    const entries = Array.from({ length: 1_000 }, (_, i) => ({ path: `\0${i}`, kind: 'file' }));
    const outputs = [{ source: '/x', taken: entries, leftOut: entries, leftOutCount: 1_000 }];
    const { task } = resultOf('failed', { outputs });
    expect(task?.outputs?.[0]?.taken).toHaveLength(50);
    expect(JSON.stringify(task)).not.toContain('\\u0000');
  });

  it('is bounded however long the names of outputs are: otherwise it could not be read again', () => {
    const entries = Array.from({ length: 50 }, () => ({
      path: '\u0001'.repeat(4_000),
      kind: 'file',
    }));
    const output = { source: '/x', taken: entries, leftOut: entries, leftOutCount: 50 };
    const result = resultOf('oom_killed', { outputs: Array.from({ length: 64 }, () => output) });
    expect(JSON.stringify(result).length).toBeLessThan(200_000);
    const stored = JSON.parse(toStoredHistory([], result));
    expect(countAttempts(parseHistory(stored))).toMatchObject({ attempts: 1, lackedMemory: true });
  });

  it('names no more artefacts than can be read again', async () => {
    const folder = mkdtempSync('/var/tmp/stackshim-artefacts-');
    try {
      const deep = [folder, '1', ...Array.from({ length: 12 }, () => '\u0001'.repeat(250))].join(
        '/',
      );
      mkdirSync(deep, { recursive: true });
      for (let at = 0; at < 300; at += 1) writeFileSync(`${deep}/${at}`, '');
      const listed = await listArtefacts(folder, 1);
      expect(listed.length).toBeGreaterThan(5);
      expect(JSON.stringify(listed).length).toBeLessThan(400_000);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.each([
    ['ERR_STACKSHIM_SLOTS_EXHAUSTED', true],
    ['ERR_STACKSHIM_POLICY_INVALID', true],
    ['ERR_STACKSHIM_SPEC_DENIED', false],
    ['ERR_STACKSHIM_STACK_NOT_FOUND', false],
  ] as const)('for %s blames the platform: %s', (code, retryable) => {
    expect(failedBefore(new StackshimError(code, 'x')).retryable).toBe(retryable);
  });
});

describe('the task of a job', () => {
  const place = { lane: { queue: 'q', tenant: undefined, code: undefined }, id: 'job' };
  const context = {
    place,
    id: 'task' as TaskId,
    attempt: 2,
    lackedMemory: false,
    artefactFolder: undefined,
    fields: {},
  };
  const planOf = (more: object) => ({
    data: parseJobData({ version: 1, stack: 'busybox', ...more }),
    packaged: undefined,
  });

  it('has the fields of the task, and none of the job', () => {
    const planned = planOf({ command: ['x'], retries: 3, payload: 'p', scheduleId: 's' });
    const { input, options } = toTaskRequest(planned, context);
    expect(input).toEqual({ stack: 'busybox', command: ['x'] });
    expect(options).toEqual({
      origin: 'job',
      capture: false,
      payload: Buffer.from('p'),
      fields: {
        id: 'task',
        scheduleId: 's',
        labels: { 'stackshim.job': 'q~~~job', 'stackshim.attempt': '2' },
      },
    });
  });

  it('has what the worker says, but for its id and its own labels', () => {
    const fields = { labels: { from: 'worker', 'stackshim.job': 'x' }, network: 'none', id: 'x' };
    const planned = planOf({ labels: { from: 'job', of: 'job' } });
    const { options } = toTaskRequest(planned, { ...context, fields });
    expect(options.fields).toEqual({
      id: 'task',
      network: 'none',
      labels: {
        from: 'worker',
        of: 'job',
        'stackshim.job': 'q~~~job',
        'stackshim.attempt': '2',
      },
    });
  });

  it('gets more memory after it lacked some', () => {
    const planned = planOf({ memory: '64m', memoryRetry: '1g' });
    const { defaults } = DEFAULT_POLICY;
    expect(toNeeds(planned, defaults, false).memoryBytes).toBe(64 << 20);
    expect(toNeeds(planned, defaults, true).memoryBytes).toBe(1 << 30);
    expect(toNeeds(planOf({}), defaults, true)).toEqual({
      memoryBytes: defaults.memoryBytes,
      diskBytes: defaults.diskBytes,
      cpus: defaults.cpus,
    });
  });

  it('leaves its outputs below its folder, wherever they lie in the task', () => {
    const planned = planOf({ outputs: ['/out/a/*.txt', 'b', './c/.', '/d'] });
    const { options } = toTaskRequest(planned, { ...context, artefactFolder: '/kept' });
    expect(options.fields?.outputs).toEqual([
      { source: '/out/a/*.txt', destination: '/kept/out/a' },
      { source: 'b', destination: '/kept' },
      { source: './c/.', destination: '/kept/c' },
      { source: '/d', destination: '/kept' },
    ]);
  });
});
