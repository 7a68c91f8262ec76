/** Numbers that tasks hold: that of a task whose shim died is not free before the task is removed. */
import { existsSync } from 'node:fs';
import { isTaskId, type TaskId } from '../../core/ids.ts';
import { taskDir } from '../../core/layout.ts';
import { claimNumber, type HeldNumber, isHeld } from '../../sys/numbered-locks.ts';
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
  { folder, count, run, task }: TaskNumberRequest,
): HeldNumber | undefined =>
  claimNumber(system, { folder, count, holder: `${bootId()}\n${task}\n${run}\n`, isTaken });

/** Whether a task holds the number of this file, be its owner alive or dead. */
export const isHeldByTask = (system: System, file: string): boolean =>
  isHeld(system, file, isTaken);

/** The lock is free but the task it names was not removed yet: its processes may live on. */
function isTaken(holder: string): boolean {
  const [boot, task, run] = holder.split('\n');
  if (boot !== bootId() || task === undefined || run === undefined) return false;
  return isTaskId(task) && existsSync(taskDir({ run }, task));
}
