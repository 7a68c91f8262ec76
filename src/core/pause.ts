/** Resolves after `ms` milliseconds. Loading `node:timers/promises` instead would cost the executable 0.4 ms for every task. */
export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** Steps that wait for a turn of the event loop, first come first. */
const waiting: (() => void)[] = [];

/**
 * Resolves in a later turn of the event loop, which no other step that waits here gets. A step takes about a millisecond: those of many tasks in
 * one turn would hold up the loop as long as all of them take.
 */
export const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    if (waiting.push(resolve) === 1) setImmediate(passOn);
  });

function passOn(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(passOn);
}
