/** A task's events, in order. */
import { toStackshimError } from '../core/errors.ts';
import type { BuildKey, ImageDigest, StackName, TaskId } from '../core/ids.ts';
import type { StopCause } from './build-result.ts';
import type { TaskExec } from './exec/told-exec.ts';
import type { TaskResult } from './result.ts';
import type { StreamName } from './streams/task-output.ts';

/**
 * Order: `accepted`, at most one `building` and one `built`, `created`, `started`, any number of `output` and `progress`, at
 * most one `stopping`, `exited`, one `exec` per further command executed in the task, `finished`, `removed`. With `remove:
 * 'sync'` (the default) `removed` precedes `finished`. A task that never ran skips the events of stages that it did not reach.
 */
export type TaskEvent =
  | {
      readonly type: 'accepted';
      readonly id: TaskId;
      readonly stack: StackName;
      readonly revision: number;
      readonly image: ImageDigest;
    }
  | {
      readonly type: 'building';
      readonly id: TaskId;
      readonly key: BuildKey;
      /** The task that runs the build step. */
      readonly build: TaskId;
    }
  | {
      readonly type: 'built';
      readonly id: TaskId;
      readonly key: BuildKey;
      readonly cached: boolean;
    }
  | { readonly type: 'created'; readonly id: TaskId; readonly pid: number }
  | { readonly type: 'started'; readonly id: TaskId }
  | {
      readonly type: 'output';
      readonly id: TaskId;
      readonly stream: StreamName;
      readonly chunk: Uint8Array;
    }
  | {
      readonly type: 'progress';
      readonly id: TaskId;
      /** The current text of the file TASK_PROGRESS_FILE. At most one event per second, and one more at the task's end. */
      readonly text: string;
    }
  | { readonly type: 'stopping'; readonly id: TaskId; readonly cause: StopCause }
  | {
      readonly type: 'exited';
      readonly id: TaskId;
      readonly exitCode: number | null;
      readonly signal: string | null;
    }
  | { readonly type: 'exec'; readonly id: TaskId; readonly exec: TaskExec }
  | {
      readonly type: 'removed';
      readonly id: TaskId;
      readonly removed: boolean;
      readonly leftovers: readonly string[];
    }
  | { readonly type: 'finished'; readonly id: TaskId; readonly result: TaskResult };

/** Called synchronously with each event. Its errors, and rejections of a promise that it returns, become process warnings; it is not awaited. */
export type TaskListener = (event: TaskEvent) => void;

/** Wraps a listener so that it can break neither the task nor the program: its errors and rejections become process warnings. */
export function safeListener(listener: TaskListener | undefined): TaskListener {
  if (listener === undefined) return () => undefined;
  return (event) => {
    try {
      // To TypeScript, an async function is a valid listener.
      const returned: unknown = listener(event);
      if (isPromiseLike(returned)) Promise.resolve(returned).catch(warn);
    } catch (error) {
      warn(error);
    }
  };
}

/** Reports an error that cannot be part of a result. */
export const warn = (error: unknown): void =>
  process.emitWarning(error instanceof Error ? error : String(error));

/** Warns the operator of this process about a failed operation. */
export const warnOf = (operation: string, error: unknown): void =>
  warn(toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', operation));

/** True for promises of any library or realm, which `instanceof Promise` does not recognize. */
export const isPromiseLike = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' &&
  value !== null &&
  'then' in value &&
  typeof value.then === 'function';
