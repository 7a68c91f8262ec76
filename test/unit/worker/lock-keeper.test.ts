/** When locks are renewed, and when they are lost: by when the renewals were sent. */
import type { IQueueBackend } from 'bullmq';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LockKeeper } from '../../../src/worker/run/lock-keeper.ts';

const LOCK_MS = 30_000;
const LANE = { queue: 'q', tenant: undefined, code: undefined };

interface Call {
  readonly ids: readonly string[];
  answer(failed: readonly string[]): void;
  fail(): void;
}

let calls: Call[];
let keeper: LockKeeper;
let renewed: string[];
let failures: number;

const backend = {
  extendLocks: (ids: string[]) =>
    new Promise<string[]>((resolve, reject) => {
      const fail = () => reject(new Error('away'));
      calls.push({ ids, answer: (failed) => resolve([...failed]), fail });
    }),
} as unknown as IQueueBackend;

beforeEach(() => {
  vi.useFakeTimers();
  [calls, renewed, failures] = [[], [], 0];
  keeper = new LockKeeper({
    lockMs: LOCK_MS,
    now: Date.now,
    onRenewed: (locks) => renewed.push(...locks.map(({ job }) => job.id)),
    onFailure: () => {
      failures += 1;
    },
  });
});
afterEach(() => {
  keeper.close();
  vi.useRealTimers();
});

const hold = (id: string, lane = LANE, sentAtMs = Date.now()) =>
  keeper.hold({ lane, id, token: `token of ${id}`, backend }, sentAtMs);

it('asks once for all jobs of a lane, every third of the time', async () => {
  hold('a');
  hold('b');
  hold('c', { ...LANE, queue: 'other' });
  await vi.advanceTimersByTimeAsync(LOCK_MS / 3);
  expect(calls.map(({ ids }) => ids)).toEqual([['a', 'b'], ['c']]);
  for (const call of calls) call.answer([]);
  await vi.advanceTimersByTimeAsync(0);
  expect(renewed).toEqual(['a', 'b', 'c']);
});

it('counts from when the renewal was sent, not from when it was answered', async () => {
  const lock = hold('a');
  const start = Date.now();
  expect(lock.untilMs).toBe(start + 24_000);
  await vi.advanceTimersByTimeAsync(10_000);
  await vi.advanceTimersByTimeAsync(8_000);
  calls[0]?.answer([]);
  await vi.advanceTimersByTimeAsync(0);
  expect(lock.untilMs).toBe(start + 34_000);
});

it('loses a lock whose renewals are not answered at 0.8 of its time', async () => {
  const lock = hold('a');
  await vi.advanceTimersByTimeAsync(23_900);
  expect(lock.lost.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(500);
  expect(lock.lost.aborted).toBe(true);
  calls.at(-1)?.answer([]);
  await vi.advanceTimersByTimeAsync(0);
  expect(renewed).toEqual([]);
  const asked = calls.length;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(calls).toHaveLength(asked);
});

it('loses a lock that another worker has, at once, and keeps the others', async () => {
  const [mine, other] = [hold('a'), hold('b')];
  await vi.advanceTimersByTimeAsync(10_000);
  calls[0]?.answer(['a']);
  await vi.advanceTimersByTimeAsync(0);
  expect([mine.lost.aborted, other.lost.aborted]).toEqual([true, false]);
  expect(renewed).toEqual(['b']);
});

it('asks again after a failure', async () => {
  const lock = hold('a');
  await vi.advanceTimersByTimeAsync(10_000);
  calls[0]?.fail();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(failures).toBe(1);
  calls[1]?.answer([]);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(lock.lost.aborted).toBe(false);
});

it('tells of a lost lock before any timer has noticed it', () => {
  const lock = hold('a', LANE, Date.now() - 25_000);
  expect(lock.isLostAt(Date.now())).toBe(true);
  expect(lock.lost.aborted).toBe(true);
});

it('asks nothing for a job that was let go', async () => {
  keeper.release(hold('a'));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(calls).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});
