/** Bounds how many calls of a kind are under way at once. */

/** Returns what makes calls, each in its turn: at once while fewer than `count` of them have not settled. */
export function atMost(count: number): <T>(call: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let underWay = 0;
  return async (call) => {
    if (underWay < count) underWay += 1;
    // Whoever ends leaves its place to the next.
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
