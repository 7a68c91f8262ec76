/** What happens to a taken job up to its final state, on a real store. */

import { describe, expect, it } from 'vitest';
import { StackshimError } from '../../src/core/errors.ts';
import type { TenantName } from '../../src/core/ids.ts';
import { openDoor } from '../../src/door/open-stackshim.ts';
import type { Room } from '../../src/worker/taken-job.ts';
import { STORED, useInstallation } from '../support/installation/installation.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import { type JobLab, NO_NEEDS } from './support/job-lab.ts';
import { cancel, mark, sh, useJobLabs } from './support/job-labs.ts';
import { STORE_KINDS, startJobStore } from './support/job-stores.ts';

/** A server begins processes of its own as it needs them. */
const { options } = useInstallation([/^process \d+ postgres /, STORED, /^file \S+\/packages\//]);

/** Uses about 100 MB. */
const EATER = 'dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null';

const isRunning = (lab: JobLab, id: string) => async () =>
  typeof (await lab.read(id)).progress === 'object';

/** Whether the running task has told this as its progress. */
const hasTold = (lab: JobLab, id: string, text: string) => async () => {
  const { progress } = await lab.read(id);
  return typeof progress === 'object' && Reflect.get(progress, 'progress') === text;
};

/** As a client retries a job. */
const RESET = { resetAttemptsMade: true, resetAttemptsStarted: true };

describe.each(STORE_KINDS)('on %s', (kind) => {
  const labs = useJobLabs(() => startJobStore(kind), options);
  const { openLab } = labs;

  describe('states', () => {
    it('a task that succeeds completes its job', async () => {
      const lab = openLab();
      const job = await lab.runToEnd(sh('echo done'));
      expect(job.result).toMatchObject({
        state: 'complete',
        attempt: 1,
        error: null,
        retryable: false,
        worker: 'test/1',
        code: null,
        artefacts: [],
        task: { verdict: 'succeeded', exitCode: 0, removed: true },
      });
      expect(job.result?.task?.output).not.toHaveProperty('stdout');
      expect(lab.warnings).toEqual([]);
      expect(lab.events.map(({ type }) => type)).toEqual(['job_taken', 'job_ended']);
    });

    it.each([
      ['exit 3', {}, 'error', 'failed', 'error: the command ended with exit code 3'],
      ['nosuchprogram', {}, 'error', 'failed', 'error: the command ended with exit code 127'],
      ['sleep 60', { timeout: '300ms' }, 'timeout', 'timed_out', /^timeout: /],
      ['head -c 100000 /dev/zero', { outputLimit: '10k' }, 'killed', 'output_limited', /^killed: /],
    ] as const)('%s with %o ends as %s', async (...row) => {
      const [script, more, state, verdict, reason] = row;
      const job = await openLab().runToEnd(sh(script, more));
      expect(job.result).toMatchObject({ state, task: { verdict } });
      expect(job.failedReason).toMatch(reason);
    });

    it.each([
      ['stack', { stack: 'nope' }, 'ERR_STACKSHIM_STACK_NOT_FOUND'],
      ['code package', { stack: 'busybox', code: 'nope' }, 'ERR_STACKSHIM_PACKAGE_NOT_FOUND'],
    ])(
      'an unknown %s is left to others, and in the end is an error of the job',
      async (_, data, code) => {
        const lab = openLab();
        const id = await lab.add({ version: 1, command: ['true'], ...data });
        // Its pauses of 5, 10, 20, 40 and then 60 seconds are as long as it may wait for another machine.
        for (let start = 1; start < 9; start += 1) {
          await lab.runNext();
          expect(await lab.backend.getState(id)).toBe('delayed');
          await lab.backend.promote(id);
        }
        expect(lab.events.filter(({ type }) => type === 'job_handed_back')).toHaveLength(8);
        const job = await lab.endOf(id);
        expect(job.result).toMatchObject({
          state: 'error',
          retryable: false,
          error: { code },
          task: null,
        });
      },
    );

    it('a task that runs out of memory is killed, and what it used is known', async () => {
      const job = await openLab().runToEnd(sh(EATER, { memory: '32m' }));
      expect(job.result).toMatchObject({ state: 'killed', task: { verdict: 'oom_killed' } });
      expect(job.failedReason).toBe('killed: oom_killed: the task ran out of memory');
    });

    it('the payload and the config reach the task byte for byte', async () => {
      const script = 'od -An -tx1 $PAYLOAD_FILE; cat $CONFIG_FILE';
      const lab = openLab();
      const bytes = Buffer.from([0, 255, 10, 13]).toString('base64');
      const job = await lab.runToEnd(sh(script, { payloadBase64: bytes, config: 'naïve ☃' }));
      expect(job.result?.state).toBe('complete');
      const text = (await lab.logOf(job.id)).map(({ d }) => d).join('');
      expect(text).toBe(' 00 ff 0a 0d\nnaïve ☃');
    });

    it('the task knows its job by its labels, and its tenant by the lane', async () => {
      const lane = { tenant: 'acme' as TenantName };
      const seen: unknown[] = [];
      const door = openDoor(options);
      const run: typeof door.run = (input, given) => {
        seen.push(given?.fields);
        return door.run(input, given);
      };
      const lab = openLab({ lane, context: { door: { ...door, run } } });
      const job = await lab.runToEnd(sh('true', { labels: { mine: 'x' } }));
      expect(job.result?.state).toBe('complete');
      expect(seen).toEqual([
        {
          id: job.result?.task?.id,
          tenant: 'acme',
          labels: {
            mine: 'x',
            'stackshim.job': `${lab.lane.queue}~acme~~${job.id}`,
            'stackshim.attempt': '1',
          },
        },
      ]);
    });
  });

  describe('further attempts', () => {
    it('a task that fails is run again as often as its job asks', async () => {
      const lab = openLab();
      const job = await lab.runToEnd(sh('exit 1', { retries: 2 }));
      expect(job.attempts.map(({ attempt, state }) => [attempt, state])).toEqual([
        [1, 'error'],
        [2, 'error'],
        [3, 'error'],
      ]);
      expect(new Set(job.attempts.map(({ task }) => task?.id)).size).toBe(3);
    });

    it('a delayed further attempt waits', async () => {
      const lab = openLab();
      const id = await lab.add(sh('exit 1', { retries: 1, retryDelay: '1h' }));
      await lab.runNext();
      expect(await lab.backend.getState(id)).toBe('delayed');
      const { delay, attempts } = await lab.read(id);
      expect(delay).toBe(3_600_000);
      expect(attempts).toHaveLength(1);
      await lab.backend.promote(id);
      await lab.runNext();
      expect(await lab.backend.getState(id)).toBe('failed');
    });

    it('an attempt that succeeds after failures keeps them', async () => {
      const lab = openLab();
      const id = await lab.add(sh('exit 1', { retries: 1 }));
      await lab.runNext();
      const { data } = await lab.read(id);
      const job = { ...JSON.parse(String(data)), command: ['true'] };
      await lab.backend.updateData({ id } as never, job);
      await lab.runNext();
      const ended = await lab.read(id);
      expect(ended.result).toMatchObject({ state: 'complete', attempt: 2 });
      expect(ended.attempts).toMatchObject([{ state: 'error', attempt: 1 }]);
    });

    it('a task without enough memory gets more once, beside its own retries', async () => {
      const lab = openLab();
      const job = await lab.runToEnd(sh(EATER, { memory: '32m', memoryRetry: '256m' }));
      expect(job.attempts).toMatchObject([{ state: 'killed', task: { verdict: 'oom_killed' } }]);
      expect(job.result).toMatchObject({ state: 'complete', attempt: 2 });
      expect(lab.asked.map(({ memoryBytes }) => memoryBytes)).toEqual([32 << 20, 256 << 20]);
    });

    it('a task that lacks memory with more, too, has ended', async () => {
      const job = await openLab().runToEnd(sh(EATER, { memory: '32m', memoryRetry: '48m' }));
      expect(job.attempts.map(({ state }) => state)).toEqual(['killed', 'killed']);
    });

    it('faults of the platform have a budget of their own', async () => {
      const door = openDoor(options);
      const run = () =>
        Promise.reject(new StackshimError('ERR_STACKSHIM_SLOTS_EXHAUSTED', 'run task: no slot'));
      const lab = openLab({ context: { door: { ...door, run } } });
      const id = await lab.add(sh('true', { retries: 1 }));
      for (let i = 0; i < 5; i++) {
        await lab.runNext();
        expect(await lab.backend.getState(id)).toBe('delayed');
        await lab.backend.promote(id);
      }
      await lab.runNext();
      const job = await lab.read(id);
      expect(job.attempts).toHaveLength(6);
      expect(job.result).toMatchObject({
        state: 'error',
        retryable: true,
        error: { code: 'ERR_STACKSHIM_SLOTS_EXHAUSTED', details: { givenUp: true } },
      });
      // A client that retries the job gives it a new budget.
      await lab.backend.retryFinishedJob({ id, opts: {} } as never, 'failed', RESET);
      await lab.runNext();
      expect(await lab.backend.getState(id)).toBe('delayed');
    });

    it('a job that this machine is too small for is left to others for a while', async () => {
      const lab = openLab({ context: { missingMs: 10_000 } });
      lab.refuseRoom = () =>
        Promise.reject(new StackshimError('ERR_STACKSHIM_HOST_EXHAUSTED', 'start job: too large'));
      const id = await lab.add(sh('true'));
      for (let i = 0; i < 2; i++) {
        await lab.runNext();
        expect(await lab.backend.getState(id)).toBe('delayed');
        expect(await lab.waitOf(id)).toMatchObject({ code: 'ERR_STACKSHIM_HOST_EXHAUSTED' });
        await lab.backend.promote(id);
      }
      await lab.runNext();
      expect((await lab.read(id)).result).toMatchObject({
        state: 'error',
        attempt: 0,
        error: { code: 'ERR_STACKSHIM_HOST_EXHAUSTED' },
      });
    });

    it('a job whose stack is missing tells so while it waits', async () => {
      const lab = openLab({ context: { missingMs: 10_000 } });
      const id = await lab.add({ ...sh('true'), stack: 'nope' });
      await lab.runNext();
      const first = await lab.waitOf(id);
      expect(first).toMatchObject({ code: 'ERR_STACKSHIM_STACK_NOT_FOUND', worker: 'test/1' });
      expect(first?.reason).toContain('nope');
      const since = Date.parse(first?.since ?? '');
      expect(Date.parse(first?.nextTryAt ?? '') - since).toBe(5_000);
      expect(Date.parse(first?.triedUntil ?? '') - since).toBe(15_000);
      await lab.backend.promote(id);
      await lab.runNext();
      expect((await lab.waitOf(id))?.since).toBe(first?.since);
      await lab.backend.promote(id);
      await lab.runNext();
      expect((await lab.read(id)).result?.error?.code).toBe('ERR_STACKSHIM_STACK_NOT_FOUND');
      expect(await lab.waitOf(id)).toBeNull();
    });

    it('a job whose workers died again and again is given up', async () => {
      const lab = openLab();
      const id = await lab.add(sh('true'));
      await labs.server.setDeaths(lab.lane, id, 3);
      await lab.runNext();
      expect((await lab.read(id)).result).toMatchObject({
        state: 'error',
        attempt: 0,
        error: { code: 'ERR_STACKSHIM_JOB_ENDS_WORKERS', details: { deadWorkers: 3 } },
      });
      await lab.backend.retryFinishedJob({ id, opts: {} } as never, 'failed', RESET);
      await lab.runNext();
      expect((await lab.read(id)).result?.state).toBe('complete');
    });
  });

  describe('cancel', () => {
    it('a job that is cancelled before it is taken does not run', async () => {
      const lab = openLab();
      const id = await lab.add(sh('true'));
      await cancel(lab, id, 'Ann');
      await lab.runNext();
      expect((await lab.read(id)).result).toMatchObject({
        state: 'cancelled',
        attempt: 0,
        task: null,
        error: { code: 'ERR_STACKSHIM_JOB_CANCELLED', details: { by: 'Ann' } },
      });
    });

    it('a running job is stopped, keeps its record, and does not run again', async () => {
      const lab = openLab();
      const script = [
        'trap "echo bye; exit 9" TERM',
        'printf ready > $TASK_PROGRESS_FILE',
        'while :; do sleep 0.05; done',
      ].join('; ');
      const id = await lab.add(sh(script, { payload: 'x', retries: 3 }));
      const running = lab.runNext();
      await waitUntil(hasTold(lab, id, 'ready'));
      await cancel(lab, id, 'Ann');
      await running;
      const job = await lab.read(id);
      expect(job.result).toMatchObject({
        state: 'cancelled',
        attempt: 1,
        task: { verdict: 'cancelled', exitCode: 9 },
        error: { code: 'ERR_STACKSHIM_JOB_CANCELLED' },
      });
      expect((await lab.logOf(id)).map(({ d }) => d).join('')).toMatch(/bye\n$/);
    });

    it('a job that waits for room is cancelled', async () => {
      const lab = openLab();
      const id = await lab.add(sh('true'));
      const taken = await lab.take();
      if (taken === undefined) throw new Error('nothing taken');
      let isAsked = false;
      const room: Room = {
        needs: NO_NEEDS,
        resize: (_, signal) => {
          isAsked = true;
          return new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason));
          });
        },
      };
      const running = lab.runner.handle({ ...taken, room });
      await waitUntil(() => isAsked);
      await cancel(lab, id);
      await running;
      expect((await lab.read(id)).result).toMatchObject({ state: 'cancelled', attempt: 0 });
    });

    it('a mark without a message is found by the next look', async () => {
      const lab = openLab();
      const id = await lab.add(sh('while :; do sleep 0.05; done'));
      const running = lab.runNext();
      await waitUntil(isRunning(lab, id));
      await mark(lab, id);
      lab.runner.lookForMarks();
      await running;
      expect((await lab.read(id)).result?.state).toBe('cancelled');
    });
  });
});
