/** Resolves after `ms` milliseconds. Loading `node:timers/promises` instead would cost the executable 0.4 ms for every task. */
export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves or rejects as `promise` does; resolves to undefined when that takes longer than `ms`. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

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
