/** Errors for a task named by its id: the same words for the same state, whatever the request. */
import { StackshimError } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';

/** Why a task is not in the state that a request needs. */
export interface TaskProblem {
  /** One word for programs, in `details.state`. */
  readonly state?: string;
  /** Completes the message `pause task ID: …`. */
  readonly why: string;
  /** What to do next. Default: look at the states of tasks. */
  readonly hint?: string;
  readonly cause?: unknown;
}

export const ENDED: TaskProblem = { state: 'ended', why: 'it has ended' };

export const STARTING: TaskProblem = {
  state: 'starting',
  why: 'its command has not begun yet',
  hint: 'try again when it runs',
};

export const ORPHANED: TaskProblem = {
  state: 'orphaned',
  why: 'it is orphaned: its owner has died, or could not remove it',
  hint: 'run stackshim reap, which ends and removes such tasks',
};

export const toPaused = (id: TaskId): TaskProblem => ({
  state: 'paused',
  why: 'it is paused',
  hint: `run stackshim unpause ${id}, then try again`,
});

/** @param operation The beginning of the message: `pause task`. */
export const toTaskNotFound = (operation: string, id: TaskId): StackshimError =>
  new StackshimError('ERR_STACKSHIM_TASK_NOT_FOUND', `${operation} ${id}: no such task`, {
    details: { id },
  });

/** @param operation The beginning of the message: `pause task`. */
export const toTaskConflict = (
  operation: string,
  id: TaskId,
  { state, why, hint = 'run stackshim ps -a to see the states of tasks', cause }: TaskProblem,
): StackshimError =>
  new StackshimError('ERR_STACKSHIM_TASK_CONFLICT', `${operation} ${id}: ${why}`, {
    hint,
    details: { id, ...(state === undefined ? {} : { state }) },
    ...(cause === undefined ? {} : { cause }),
  });
