/**
 * Spreads the set-up of many tasks over turns of the event loop. Each takes a few milliseconds of system calls and a fork:
 * two hundred of them that are begun together would hold the loop up for seconds.
 */

const waiting: (() => void)[] = [];
let isTaken = false;

/** Resolves when it is this task's turn: at once unless another task has had one in this turn of the loop. */
export function takeSetUpTurn(): Promise<void> {
  if (!isTaken) {
    isTaken = true;
    setImmediate(passOn);
    return Promise.resolve();
  }
  return new Promise((resolve) => waiting.push(resolve));
}

function passOn(): void {
  const next = waiting.shift();
  isTaken = next !== undefined;
  if (next === undefined) return;
  setImmediate(passOn);
  next();
}
