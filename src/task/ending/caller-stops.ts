/** What a caller has to end a task by: its signals and a moment. */
import { toSignalNumber } from '../../spec/parse-signal.ts';
import type { OutputMeter } from '../streams/task-output.ts';
import { startTimer } from './deadline-timer.ts';
import type { TaskStopper } from './stop-task.ts';

export interface CallerStops {
  /**
   * Abort: the stop signal, and KILL after the stop timeout; the verdict is `cancelled`. A signal's name as the reason, `abort('SIGINT')`,
   * is sent instead where the command acts on it.
   */
  readonly signal?: AbortSignal | undefined;
  /** Abort: KILL at once. */
  readonly killSignal?: AbortSignal;
  /** The task is `timed_out` at this moment at the latest: milliseconds since 1970. */
  readonly deadline?: number;
}

export const signalsOf = ({ signal, killSignal }: CallerStops): readonly AbortSignal[] =>
  [signal, killSignal].filter((one) => one !== undefined);

export const isAborted = (stops: CallerStops): boolean =>
  signalsOf(stops).some(({ aborted }) => aborted);

/** On the clock of `performance`, which nobody sets while the task runs; infinity: there is none. */
export const toDeadline = ({ deadline }: CallerStops): number =>
  deadline === undefined ? Number.POSITIVE_INFINITY : performance.now() + (deadline - Date.now());

export interface StopsOptions {
  readonly output: OutputMeter;
  readonly deadlineAt: number;
}

/** Listens to whatever of the caller's may end the task. Returns what stops the listening. */
export function armStops(
  options: CallerStops,
  stopper: TaskStopper,
  { output, deadlineAt }: StopsOptions,
): () => void {
  const { signal, killSignal } = options;
  // Once the task has ended, all that can be cut short is waiting for a slow sink.
  const stop = () => {
    if (stopper.ended) output.abandon();
    else stopper.stop('cancelled', signalOf(signal?.reason));
  };
  const kill = () => (stopper.ended ? output.abandon() : stopper.kill('cancelled'));
  signal?.addEventListener('abort', stop, { once: true });
  killSignal?.addEventListener('abort', kill, { once: true });
  const cancelTimer =
    deadlineAt === Number.POSITIVE_INFINITY
      ? undefined
      : startTimer(deadlineAt - performance.now(), () =>
          stopper.ended ? output.hurry() : stopper.stop('timed_out'),
        );
  // They may have been aborted while the task was being planned.
  if (signal?.aborted) stop();
  if (killSignal?.aborted) kill();
  return () => {
    signal?.removeEventListener('abort', stop);
    killSignal?.removeEventListener('abort', kill);
    cancelTimer?.();
  };
}

const signalOf = (reason: unknown): number | undefined =>
  typeof reason === 'string' ? toSignalNumber(reason) : undefined;
