/** The order that a keeper gets at its start, and the keeper's answer. */
import type { ErrorJson } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import type { LayoutOptions } from '../../core/layout.ts';
import type { TaskInput, TaskOrigin } from '../../spec/task-input.ts';
import type { TaskResult } from '../../task/result.ts';

/** How `detach` starts a task. */
export interface DetachOptions {
  /** As for `run`. */
  readonly origin?: TaskOrigin;
  /** An abort before the command has begun cancels the task. Later it has no effect: end the task with `kill`. */
  readonly signal?: AbortSignal;
}

/** A task that a keeper owns. */
export interface DetachedTask {
  readonly id: TaskId;
  /** Null if the command has begun; otherwise the result of a task whose command never ran. Such a task has left no report. */
  readonly result: TaskResult | null;
}

export interface KeeperOrder {
  readonly layout: LayoutOptions;
  readonly input: TaskInput;
  readonly origin: TaskOrigin;
}

/** One line of JSON, sent once: when the command has begun, or when it is known that it never will. */
export type KeeperAnswer =
  | { readonly begun: TaskId }
  | { readonly ended: TaskResult }
  | { readonly failed: ErrorJson };

/** The keeper's descriptors for the order and the answer. The order's pipe closes when nobody waits for the answer any more. */
export const ORDER_FD = 3;
export const ANSWER_FD = 4;

/** Longer than any order: the bounds of a task's fields are far below. */
export const MAX_LINE_BYTES = 64 * 1024 * 1024;

/** The first argument that makes the executable a keeper. */
export const KEEPER_WORD = 'keep-task';
