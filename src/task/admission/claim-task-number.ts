/** Numbers that tasks hold. If the shim of a task dies, the number becomes free only when the task is removed. */
import { existsSync } from 'node:fs';
import { isTaskId, type TaskId } from '../../core/ids.ts';
import { taskDir } from '../../core/layout.ts';
import { claimNumber, claimThisNumber, type HeldNumber, isHeld } from '../../sys/numbered-locks.ts';
import { isOwnFolder } from '../../sys/own-folder.ts';
import { bootId } from '../../sys/processes.ts';
import type { System } from '../../sys/system.ts';

export interface TaskNumberRequest {
  /** An existing folder that only this user may write to. */
  readonly folder: string;
  /** Numbers are 0 to `count` - 1. */
  readonly count: number;
  readonly run: string;
  readonly task: TaskId;
}

/** Claims a number for a task, like {@link claimNumber}. After `close`, the number becomes free when the task is removed. */
export const claimTaskNumber = (
  system: System,
  request: TaskNumberRequest,
): HeldNumber | undefined => claimNumber(system, { ...request, ...toClaim(request) });

/**
 * Like {@link claimTaskNumber}, but claims the number also in the folder `older`, if that is given and only this user may write to it. The
 * number must be free in both.
 */
export function claimInBoth(
  system: System,
  request: TaskNumberRequest,
  older: string | undefined,
): HeldNumber | undefined {
  if (older === undefined || !isOwnFolder(older)) return claimTaskNumber(system, request);
  const skipped: HeldNumber[] = [];
  try {
    for (;;) {
      const held = claimTaskNumber(system, request);
      if (held === undefined) return undefined;
      skipped.push(held);
      const other = claimThisNumber(system, held.number, { folder: older, ...toClaim(request) });
      if (other === undefined) continue;
      skipped.pop();
      return joined(held, other);
    }
  } finally {
    for (const held of skipped) held.release();
  }
}

const joined = (held: HeldNumber, other: HeldNumber): HeldNumber => ({
  ...held,
  release() {
    other.release();
    held.release();
  },
  close() {
    other.close();
    held.close();
  },
});

/**
 * Claims the number that another process claimed for the task and closed; also in the folder `older`, if it was claimed there. Undefined
 * if the task does not hold the number, or if another process still does.
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
  held.close();
  return undefined;
}

interface AdoptRequest extends Omit<TaskNumberRequest, 'count'> {
  readonly older: string | undefined;
}

const toClaim = ({ task, run }: Pick<TaskNumberRequest, 'task' | 'run'>) => ({
  holder: `${bootId()}\n${task}\n${run}\n`,
  isTaken,
});

/** Whether a task holds the number of this file, with a living or a dead owner. */
export const isHeldByTask = (system: System, file: string): boolean =>
  isHeld(system, file, isTaken);

/** Whether the named task still exists although its lock is free: its processes may still run. */
function isTaken(holder: string): boolean {
  const [boot, task, run] = holder.split('\n');
  if (boot !== bootId() || task === undefined || run === undefined) return false;
  return isTaskId(task) && existsSync(taskDir({ run }, task));
}
