/**
 * Spreads the set-up of many tasks over turns of the event loop, and over time. Each takes some milliseconds of system calls in one turn, and a
 * runtime: a hundred that are set up together hold up the loop and each other, and the first is not ready before the last.
 */
import { availableParallelism } from 'node:os';
import { StackshimError } from '../../core/errors.ts';

/** More than one for each processor, because a runtime waits for the kernel half of its time. */
const AT_ONCE = Math.max(4, 3 * availableParallelism());
/** A set-up that takes longer (a large archive, a runtime that hangs) gives up its place, so that it holds up no other task. */
const LONGEST_MS = 250;

/** Set-ups that wait for their turn, first come first. */
const waiting = new Set<() => void>();
let underWay = 0;
let turnIsTaken = false;

/** A task's set-up that has begun. */
export interface SetUpTurn {
  /** The set-up is over, however it went. A second call does nothing. */
  end(): void;
}

/**
 * Resolves when it is this task's turn: at once unless others are being set up. Rejects with ERR_STACKSHIM_TASK_ABORTED when one of `signals`
 * aborts while the task waits.
 */
export async function takeSetUpTurn(signals: readonly AbortSignal[]): Promise<SetUpTurn> {
  if (turnIsTaken || underWay >= AT_ONCE) await waitInLine(signals);
  else begin();
  let isUnderWay = true;
  const end = () => {
    if (!isUnderWay) return;
    isUnderWay = false;
    clearTimeout(timer);
    underWay -= 1;
    if (!turnIsTaken) passOn();
  };
  const timer = setTimeout(end, LONGEST_MS);
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

function begin(): void {
  underWay += 1;
  turnIsTaken = true;
  setImmediate(passOn);
}

/** One begins in each turn of the loop. */
function passOn(): void {
  turnIsTaken = false;
  if (underWay >= AT_ONCE) return;
  const [next] = waiting;
  if (next === undefined) return;
  begin();
  next();
}
