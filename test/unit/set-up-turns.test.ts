/** How many tasks are set up at once, and in which turns of the event loop. */
import { availableParallelism } from 'node:os';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { nextTurn as nextTurnOfLoop } from '../../src/core/pause.ts';
import { type SetUpTurn, takeSetUpTurn } from '../../src/task/admission/set-up-turns.ts';

const AT_ONCE = 1 + availableParallelism();
const nextTurn = () => vi.advanceTimersToNextTimerAsync();

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setImmediate', 'clearImmediate', 'setTimeout', 'clearTimeout'] });
});
afterEach(async () => {
  await vi.runAllTimersAsync();
  vi.useRealTimers();
});

/** Requests set-up turns for that many tasks; returns those that have begun, in order. */
function setUpMany(count: number, signals: readonly AbortSignal[] = []) {
  const begun: SetUpTurn[] = [];
  const turns = Array.from({ length: count }, () =>
    takeSetUpTurn(signals).then((turn) => void begun.push(turn)),
  );
  return { begun, turns };
}

it('one set-up begins in each later turn of the event loop, none in the current turn', async () => {
  const { begun } = setUpMany(2);
  await Promise.resolve().then(() => undefined);
  expect(begun).toHaveLength(0);
  await nextTurn();
  expect(begun).toHaveLength(1);
  await nextTurn();
  expect(begun).toHaveLength(2);
});

it('a running set-up gets a turn of its own, between those that begin', async () => {
  const { begun } = setUpMany(1);
  let hasTurn = false;
  void nextTurnOfLoop().then(() => {
    hasTurn = true;
  });
  await nextTurn();
  expect([begun.length, hasTurn]).toEqual([1, false]);
  await nextTurn();
  expect(hasTurn).toBe(true);
});

it('a limited number of set-ups run at once; the end of one lets another begin', async () => {
  const { begun } = setUpMany(AT_ONCE + 2);
  await vi.advanceTimersByTimeAsync(100);
  expect(begun).toHaveLength(AT_ONCE);
  begun[0]?.end();
  begun[0]?.end();
  await vi.advanceTimersByTimeAsync(10);
  expect(begun).toHaveLength(AT_ONCE + 1);
});

it('slow set-ups do not hold up others forever', async () => {
  const { begun } = setUpMany(2 * AT_ONCE);
  await vi.advanceTimersByTimeAsync(300);
  expect(begun).toHaveLength(2 * AT_ONCE);
});

it('a task that is aborted while it waits does not begin its set-up', async () => {
  const abort = new AbortController();
  const others = setUpMany(AT_ONCE);
  const aborted = setUpMany(1, [abort.signal]);
  const refused = expect(aborted.turns[0]).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_TASK_ABORTED',
  });
  abort.abort();
  await refused;
  await vi.advanceTimersByTimeAsync(300);
  expect(others.begun).toHaveLength(AT_ONCE);
  expect(aborted.begun).toHaveLength(0);
});
