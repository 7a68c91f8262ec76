/** Bounds how many calls of one kind run at once. */

/** Returns a function that makes a call as soon as fewer than `count` of its earlier calls are running, in order of arrival. */
export function atMost(count: number): <T>(call: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let underWay = 0;
  return async (call) => {
    if (underWay < count) underWay += 1;
    // A call that ends passes its place to the next one: `underWay` does not change.
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
