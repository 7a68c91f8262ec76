/** How to run a task, besides its spec: where its output and events go, who may end it, what the caller provides. */
import type { Readable, Writable } from 'node:stream';
import type { TaskId } from '../core/ids.ts';
import type { TaskInput, TaskOrigin } from '../spec/task-input.ts';
import type { CallerStops } from './ending/caller-stops.ts';
import type { Removal } from './ending/remove-task.ts';
import type { TaskListener } from './events.ts';
import type { Phase } from './phase-clock.ts';
import type { CallerInputs } from './receive-inputs.ts';
import type { TaskResult } from './result.ts';
import type { OutputSink } from './streams/output-sink.ts';
import type { TaskTerminal } from './streams/terminal-streams.ts';

/** How to run a task: where its output and events go, and who may end it. */
export interface CallerOptions extends CallerStops, CallerInputs {
  /** Called with each event; {@link TaskEvent} says in which order. */
  readonly onEvent?: TaskListener;
  /**
   * The task's input, with `interactive`: text (as UTF-8) or bytes. The stream is neither ended nor destroyed,
   * and keeps what the task did not take. A stream that was destroyed, failed or was read to its end is refused.
   */
  readonly stdin?: Readable;
  /** Receives output while the task runs. Sinks are not ended. A sink that fails gets nothing more; the task continues. */
  readonly stdout?: Writable | OutputSink;
  readonly stderr?: Writable | OutputSink;
  /** Whether to keep output for the result, up to `captureBytes`. Default: true unless `stdout` or `stderr` is given. */
  readonly capture?: boolean;
  /** `job` for data from a queue, a network or another user's file: fields that such data may not set are refused. Default: `caller`. */
  readonly origin?: TaskOrigin;
  /**
   * Fields that the calling program sets, for input of origin `job` (id,
   * tenant, outputs). They replace the input's, and are checked as a caller's.
   */
  readonly fields?: Partial<TaskInput> | undefined;
  /** Receives a tar of the outputs whose destination is `-`. Not ended. */
  readonly outputStream?: Writable | OutputSink;
  /** The terminal that the task's terminal follows, with `tty`. */
  readonly terminal?: TaskTerminal;
}

/** An ended task, and the steps that are left. */
export interface EndedTask {
  readonly result: TaskResult;
  /** Removes the task's remains; call it after `remove: 'async'`. Never rejects. */
  readonly remove: () => Promise<Removal>;
  /** Call it in place of `remove` if this process ends now, and another process removes the task. */
  readonly close: () => void;
}

/** Options that the library does not offer its users. */
export interface OwnTaskOptions extends CallerOptions {
  /** Whether the bundle template in the image's label needs no permission from the policy. */
  readonly trustsImageBundle?: boolean;
  /** Whether to keep output and result, as with the field `log`, which data from a queue may not set. */
  readonly keepsReport?: boolean;
  /** The prepared container, made by another process, in which to run the command. */
  readonly container?: TaskId;
  /** Called when the task enters a phase; must not throw. */
  readonly onPhase?: (phase: Phase) => void;
}
