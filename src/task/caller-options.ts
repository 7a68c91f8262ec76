/** How a task is run, beside its spec: where its output and events go, who may end it, what its caller gives. */
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

/** How a task is run: where its output and events go, and who may end it. */
export interface CallerOptions extends CallerStops, CallerInputs {
  /** Called with each event; see {@link TaskEvent} for their order. */
  readonly onEvent?: TaskListener;
  /**
   * The task's input, with `interactive`: text (as UTF-8) or bytes. The stream is neither ended nor destroyed; what the task did not get
   * stays in it. A stream that was destroyed, has failed or was read to its end is refused.
   */
  readonly stdin?: Readable;
  /** Receives output while the task runs. Sinks are not ended. A sink that fails gets nothing more; the task goes on. */
  readonly stdout?: Writable | OutputSink;
  readonly stderr?: Writable | OutputSink;
  /** Whether to keep output for the result (`captureBytes` bounds it). Default: true unless `stdout` or `stderr` is given. */
  readonly capture?: boolean;
  /** `job` for data from a queue, a network or a file of others: fields that such data may not set are refused. Default: `caller`. */
  readonly origin?: TaskOrigin;
  /**
   * Fields that the calling program sets itself, for input of origin `job`: its id, its tenant, its outputs. They replace fields of the
   * input, and are checked like those of a caller.
   */
  readonly fields?: Partial<TaskInput> | undefined;
  /** Gets a tar of the outputs whose destination is `-`. Not ended. */
  readonly outputStream?: Writable | OutputSink;
  /** With `tty`: the terminal that the task's terminal follows. */
  readonly terminal?: TaskTerminal;
}

/** A task that has ended, and the steps that are left. */
export interface EndedTask {
  readonly result: TaskResult;
  /** Removes what the task left; call it after `remove: 'async'`. Never rejects. */
  readonly remove: () => Promise<Removal>;
  /** Call it instead of `remove` if this process ends now and another one removes the task. */
  readonly close: () => void;
}

/** Options that users of the library do not have. */
export interface OwnTaskOptions extends CallerOptions {
  /** Whether the bundle template in the image's label needs no permission of the policy. */
  readonly trustsImageBundle?: boolean;
  /** Whether output and result are kept, as with the field `log`, which data from a queue may not set. */
  readonly keepsReport?: boolean;
  /** The prepared container to run the command in, made by another process. */
  readonly container?: TaskId;
  /** Called when the task enters a phase; must not throw. */
  readonly onPhase?: (phase: Phase) => void;
}
