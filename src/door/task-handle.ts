/** The handle of a running task, to which `start` resolves. */
import type { TaskId } from '../core/ids.ts';
import type { TaskEvent } from '../task/events.ts';
import type { ExecResult } from '../task/exec/exec-in-task.ts';
import type { ExecOptions } from '../task/exec/exec-options.ts';
import type { TaskResult } from '../task/result.ts';

/**
 * The task's events from `accepted` on, each once: a second loop continues where the first one ended. The loop ends after the last event. A
 * slow reader never slows the task: up to 1 MiB of unread output is held, and output beyond that is left out and counted. Of unread `progress`
 * events, only the last is held. Other events are never left out.
 */
export interface TaskEvents extends AsyncIterable<TaskEvent> {
  /** Bytes of output that were left out so far. */
  readonly lostBytes: number;
}

/** One task of this process, from its record on. */
export interface TaskHandle {
  readonly id: TaskId;
  /** Resolves like `run`. A caller need not await it. */
  readonly result: Promise<TaskResult>;
  readonly events: TaskEvents;
  /** Sends the task's stop signal, and KILL after its `stopTimeout`. Resolves to the result; a second call has no further effect. */
  stop(): Promise<TaskResult>;
  /** Executes a further command in the task: `exec` of the door for this task. */
  exec(command: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** Sends KILL. Resolves to the result. */
  kill(): Promise<TaskResult>;
}
