/**
 * Spreads the set-up of many tasks over turns of the event loop, and over time. Each takes some milliseconds of system calls, and a
 * runtime: a hundred that are set up together hold up the loop and each other, and the first is not ready before the last.
 */
import { availableParallelism } from 'node:os';
import { StackshimError } from '../../core/errors.ts';
import { nextTurn } from '../../core/pause.ts';

/**
 * One more than processors: a runtime waits for the kernel now and then. With three for each processor tasks are set up no faster, and the thread of the
 * event loop waits twice as long for a processor.
 */
const AT_ONCE = 1 + availableParallelism();
/** A set-up that takes longer (a large archive, a runtime that hangs) gives up its place, so that it holds up no other task. */
const LONGEST_MS = 250;

/** Set-ups that wait for a place, first come first. */
const waiting = new Set<() => void>();
let underWay = 0;

/** A task's set-up that has begun. */
export interface SetUpTurn {
  /** The set-up is over, however it went. A second call does nothing. */
  end(): void;
}

/**
 * Resolves in a turn of the loop of its own, once few enough others are being set up. Rejects with ERR_STACKSHIM_TASK_ABORTED when one of `signals`
 * aborts while the task waits for others.
 */
export async function takeSetUpTurn(signals: readonly AbortSignal[]): Promise<SetUpTurn> {
  // A set-up that ends passes its place on: `underWay` stays as it is.
  if (underWay >= AT_ONCE) await waitInLine(signals);
  else underWay += 1;
  let isUnderWay = true;
  const end = () => {
    if (!isUnderWay) return;
    isUnderWay = false;
    clearTimeout(timer);
    passOn();
  };
  const timer = setTimeout(end, LONGEST_MS);
  await nextTurn();
  return { end };
}

/** Of a task that was aborted before anything of it existed. */
export const abortedEarly = (): StackshimError =>
  new StackshimError('ERR_STACKSHIM_TASK_ABORTED', 'run task: aborted before it began');

function waitInLine(signals: readonly AbortSignal[]): Promise<void> {
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

function passOn(): void {
  const [next] = waiting;
  if (next === undefined) underWay -= 1;
  else next();
}
