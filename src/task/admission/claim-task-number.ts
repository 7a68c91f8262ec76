/** Numbers that tasks hold: that of a task whose shim died is not free before the task is removed. */
import { existsSync } from 'node:fs';
import { isTaskId, type TaskId } from '../../core/ids.ts';
import { taskDir } from '../../core/layout.ts';
import { claimNumber, claimThisNumber, type HeldNumber, isHeld } from '../../sys/numbered-locks.ts';
import { isOwnFolder } from '../../sys/ownership.ts';
import { bootId } from '../../sys/processes.ts';
import type { System } from '../../sys/system.ts';

export interface TaskNumberRequest {
  /** Exists, and nobody but us may write to it. */
  readonly folder: string;
  /** Numbers are 0 to `count` - 1. */
  readonly count: number;
  readonly run: string;
  readonly task: TaskId;
}

/** Claims a number for a task as {@link claimNumber} does. Once `abandon` was called it is free when the task is removed. */
export const claimTaskNumber = (
  system: System,
  request: TaskNumberRequest,
): HeldNumber | undefined => claimNumber(system, { ...request, ...toClaim(request) });

/**
 * The same for a number that is free in the folder `older` as well, where one is given that nobody but us may write to: it is held in
 * both.
 */
export function claimInBoth(
  system: System,
  request: TaskNumberRequest,
  older: string | undefined,
): HeldNumber | undefined {
  if (older === undefined || !isOwnFolder(older)) return claimTaskNumber(system, request);
  const aside: HeldNumber[] = [];
  try {
    for (;;) {
      const held = claimTaskNumber(system, request);
      if (held === undefined) return undefined;
      aside.push(held);
      const other = claimThisNumber(system, held.number, { folder: older, ...toClaim(request) });
      if (other === undefined) continue;
      aside.pop();
      return joined(held, other);
    }
  } finally {
    for (const held of aside) held.release();
  }
}

const joined = (held: HeldNumber, other: HeldNumber): HeldNumber => ({
  ...held,
  release() {
    other.release();
    held.release();
  },
  abandon() {
    other.abandon();
    held.abandon();
  },
});

/**
 * Claims the number that another process has claimed for the task and abandoned, in the folder `older` as well where it was. Undefined when
 * the task does not hold it, or a process still does.
 */
export function adoptInBoth(
  system: System,
  number: number,
  { folder, older, ...of }: AdoptRequest,
): HeldNumber | undefined {
  const { holder } = toClaim(of);
  const claim = { holder, isTaken: (found: string) => found !== holder };
  const held = claimThisNumber(system, number, { folder, ...claim });
  if (held === undefined || older === undefined || !isOwnFolder(older)) return held;
  const other = claimThisNumber(system, number, { folder: older, ...claim });
  if (other !== undefined) return joined(held, other);
  held.abandon();
  return undefined;
}

interface AdoptRequest extends Omit<TaskNumberRequest, 'count'> {
  readonly older: string | undefined;
}

const toClaim = ({ task, run }: Pick<TaskNumberRequest, 'task' | 'run'>) => ({
  holder: `${bootId()}\n${task}\n${run}\n`,
  isTaken,
});

/** Whether a task holds the number of this file, be its owner alive or dead. */
export const isHeldByTask = (system: System, file: string): boolean =>
  isHeld(system, file, isTaken);

/** The lock is free but the task it names was not removed yet: its processes may live on. */
function isTaken(holder: string): boolean {
  const [boot, task, run] = holder.split('\n');
  if (boot !== bootId() || task === undefined || run === undefined) return false;
  return isTaskId(task) && existsSync(taskDir({ run }, task));
}
