/** Resolves after `ms` milliseconds. Not from `node:timers/promises`: to load that takes the executable 0.4 ms, in every task. */
export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves in the next turn of the event loop: what else waits for it comes between. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
