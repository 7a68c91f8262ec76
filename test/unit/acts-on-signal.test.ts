/** Whether a task's first process is waited for, even if it was observed in the middle of a fork(2). */
import { expect, it } from 'vitest';
import type { SignalDisposition } from '../../src/sys/ask-process.ts';
import { isWaitedFor } from '../../src/task/ending/stop-task.ts';

/** A look function that returns these values one after another, then nothing else. */
function looks(...seen: readonly SignalDisposition[]) {
  const left = [...seen];
  return { look: async () => left.shift() ?? expect.fail('looked once more'), left };
}

it.each([
  [true, 'handled'],
  [false, 'dropped'],
] as const)('returns %s at the first look that shows the signal as %s', async (expected, seen) => {
  expect(await isWaitedFor(looks(seen).look)).toBe(expected);
  expect(await isWaitedFor(looks('blocked', 'blocked', seen).look)).toBe(expected);
  expect(await isWaitedFor(looks('blocked', 'blocked', 'blocked', 'blocked', seen).look)).toBe(
    expected,
  );
});

it('returns true if the signal is blocked at every look', async () => {
  const { look, left } = looks('blocked', 'blocked', 'blocked', 'blocked', 'blocked');
  expect(await isWaitedFor(look)).toBe(true);
  expect(left).toEqual([]);
});
