/**
 * Spreads the set-up of many tasks over turns of the event loop and over time. Each set-up takes a few milliseconds of system calls
 * and one runtime. A hundred at once would block the loop and delay each other: the first task would be ready no sooner than the last.
 */
import { availableParallelism } from 'node:os';
import { StackshimError } from '../../core/errors.ts';
import { nextTurn } from '../../core/pause.ts';

/**
 * One more than there are processors, because a runtime sometimes waits for the kernel. Three per processor
 * would set up tasks no faster, and would make the event loop's thread wait twice as long for a processor.
 */
const AT_ONCE = 1 + availableParallelism();
/** A set-up that takes longer (a large archive, a runtime that hangs) gives up its place, so that it does not delay other tasks. */
const LONGEST_MS = 250;

/** Set-ups that wait for a place, in order of arrival. */
const waiting = new Set<() => void>();
let running = 0;

export interface SetUpTurn {
  /** Gives up the place. Call it when the set-up is over, whatever its outcome. A second call does nothing. */
  end(): void;
}

/** Resolves in its own turn of the event loop, once there is a place. Rejects with ERR_STACKSHIM_TASK_ABORTED if a signal aborts. */
export async function takeSetUpTurn(signals: readonly AbortSignal[]): Promise<SetUpTurn> {
  // A set-up that ends passes its place to the next waiting one, so `running` stays the same.
  if (running >= AT_ONCE) await waitForPlace(signals);
  else running += 1;
  let isRunning = true;
  const end = () => {
    if (!isRunning) return;
    isRunning = false;
    clearTimeout(timer);
    const [next] = waiting;
    if (next === undefined) running -= 1;
    else next();
  };
  const timer = setTimeout(end, LONGEST_MS);
  await nextTurn();
  return { end };
}

/** The error for a task that was aborted before any part of it existed. */
export const abortedEarly = (): StackshimError =>
  new StackshimError('ERR_STACKSHIM_TASK_ABORTED', 'run task: aborted before it began');

function waitForPlace(signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = () => {
      waiting.delete(begun);
      for (const signal of signals) signal.removeEventListener('abort', giveUp);
    };
    const giveUp = () => {
      leave();
      reject(abortedEarly());
    };
    const begun = () => {
      leave();
      resolve();
    };
    waiting.add(begun);
    for (const signal of signals) signal.addEventListener('abort', giveUp);
  });
}
