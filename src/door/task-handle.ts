/** A task that runs: what `start` resolves to. */
import type { TaskId } from '../core/ids.ts';
import type { TaskEvent } from '../task/events.ts';
import type { TaskResult } from '../task/result.ts';

/**
 * The task's events, from `accepted` on, each of them once: a second loop goes on where the first one ended. The loop ends after the
 * last event. Never slows the task: 1 MiB of output that nobody has read yet is held, and what comes beyond is left out and counted.
 * Events of other types are never left out.
 */
export interface TaskEvents extends AsyncIterable<TaskEvent> {
  /** Bytes of output that were left out so far. */
  readonly lostBytes: number;
}

/** One task of this process, from its record on. */
export interface TaskHandle {
  readonly id: TaskId;
  /** What `run` resolves to. A caller need not await it. */
  readonly result: Promise<TaskResult>;
  readonly events: TaskEvents;
  /** The task's stop signal now, KILL after its `stopTimeout`. Resolves to the result; a second call does nothing more. */
  stop(): Promise<TaskResult>;
  /** KILL now. Resolves to the result. */
  kill(): Promise<TaskResult>;
}
