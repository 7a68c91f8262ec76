/** What a caller can follow while a task runs, in the order in which it happens. */
import type { ImageDigest, StackName, TaskId } from '../core/ids.ts';
import type { StopCause } from './build-result.ts';
import type { TaskResult } from './result.ts';
import type { StreamName } from './streams/task-output.ts';

/**
 * Order: `accepted`, `created`, `started`, any number of `output`, at most one `stopping`, `exited`, `finished`, `removed`.
 * With `remove: 'sync'` (the default) `removed` comes before `finished`. A task that never ran skips what it did not reach.
 */
export type TaskEvent =
  | {
      readonly type: 'accepted';
      readonly id: TaskId;
      readonly stack: StackName;
      readonly revision: number;
      readonly image: ImageDigest;
    }
  | { readonly type: 'created'; readonly id: TaskId; readonly pid: number }
  | { readonly type: 'started'; readonly id: TaskId }
  | {
      readonly type: 'output';
      readonly id: TaskId;
      readonly stream: StreamName;
      readonly chunk: Uint8Array;
    }
  | { readonly type: 'stopping'; readonly id: TaskId; readonly cause: StopCause }
  | {
      readonly type: 'exited';
      readonly id: TaskId;
      readonly exitCode: number | null;
      readonly signal: string | null;
    }
  | {
      readonly type: 'removed';
      readonly id: TaskId;
      readonly removed: boolean;
      readonly leftovers: readonly string[];
    }
  | { readonly type: 'finished'; readonly id: TaskId; readonly result: TaskResult };

/** Called synchronously with each event. What it throws, and what a promise that it returns rejects with, becomes a process warning; no promise is waited for. */
export type TaskListener = (event: TaskEvent) => void;

/** A listener that cannot break a task, nor the program: what it throws or rejects with becomes a process warning. */
export function safeListener(listener: TaskListener | undefined): TaskListener {
  if (listener === undefined) return () => undefined;
  return (event) => {
    try {
      // An async function is a listener to TypeScript as well.
      const returned: unknown = listener(event);
      if (isPromiseLike(returned)) Promise.resolve(returned).catch(warn);
    } catch (error) {
      warn(error);
    }
  };
}

/** Reports an error that no result can hold. */
export const warn = (error: unknown): void =>
  process.emitWarning(error instanceof Error ? error : String(error));

/** A promise of any library, or of another realm: `instanceof Promise` does not know those. */
export const isPromiseLike = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' &&
  value !== null &&
  'then' in value &&
  typeof value.then === 'function';
