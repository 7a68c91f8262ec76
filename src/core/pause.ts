/** Waits: for a time, for a promise within a time, for a turn of the event loop, for a free place. Timers of any length. */

/** Resolves after `ms` milliseconds. Loading `node:timers/promises` would cost the executable 0.4 ms in every task. */
export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** Settles like `promise`, but resolves to undefined if that takes longer than `ms`. */
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

/** A promise, and the function that resolves it. */
export function openPromise<T = void>() {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((take) => {
    resolve = take;
  });
  return { promise, resolve };
}

/** Steps that wait for a turn of the event loop, first come first. */
const waiting: (() => void)[] = [];

/** Resolves in a later turn of the event loop, a separate one for each caller: a step takes about 1 ms, and many in one turn would delay the loop. */
export const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    if (waiting.push(resolve) === 1) setImmediate(passOn);
  });

function passOn(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(passOn);
}

/** Returns a function that runs at most `count` of its calls at once and queues the rest, in order of arrival. */
export function atMost(count: number): <T>(call: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let underWay = 0;
  return async (call) => {
    if (underWay < count) underWay += 1;
    // A call that ends passes its place on, so `underWay` does not change.
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await call();
    } finally {
      const next = waiting.shift();
      if (next === undefined) underWay -= 1;
      else next();
    }
  };
}

const LONGEST_TIMER_MS = 2_147_483_647;

/** Calls `expired` once after `delayMs`, even past 24.8 days, where Node's timers overflow. Returns a function that cancels the timer. */
export function startTimer(delayMs: number, expired: () => void): () => void {
  const endsAt = performance.now() + delayMs;
  let timer: NodeJS.Timeout;
  const arm = () => {
    const left = endsAt - performance.now();
    timer =
      left > LONGEST_TIMER_MS
        ? setTimeout(arm, LONGEST_TIMER_MS)
        : setTimeout(expired, Math.max(0, left));
  };
  arm();
  return () => clearTimeout(timer);
}
