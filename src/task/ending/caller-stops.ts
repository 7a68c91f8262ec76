/** How a caller can end a task: by two signals and a deadline. */
import { startTimer } from '../../core/pause.ts';
import { toSignalNumber } from '../../spec/parse-command.ts';
import type { OutputMeter } from '../streams/task-output.ts';
import type { TaskStopper } from './stop-task.ts';

export interface CallerStops {
  /**
   * An abort sends the stop signal, and KILL after the stop timeout; the verdict is `cancelled`. If the abort reason
   * is a signal's name, as in `abort('SIGINT')`, that signal is sent instead, provided that the command acts on it.
   */
  readonly signal?: AbortSignal | undefined;
  /** An abort sends KILL at once. */
  readonly killSignal?: AbortSignal;
  /** When the task is `timed_out` at the latest: milliseconds since 1970. */
  readonly deadline?: number;
}

export const signalsOf = ({ signal, killSignal }: CallerStops): readonly AbortSignal[] =>
  [signal, killSignal].filter((one) => one !== undefined);

export const isAborted = (stops: CallerStops): boolean =>
  signalsOf(stops).some(({ aborted }) => aborted);

/** The deadline on the clock of `performance`, which cannot be set while the task runs; infinity: no deadline. */
export const toDeadline = ({ deadline }: CallerStops): number =>
  deadline === undefined ? Number.POSITIVE_INFINITY : performance.now() + (deadline - Date.now());

/** Listens to the caller's signals and deadline. Returns a function that ends it. */
export function armStops(
  options: CallerStops,
  stopper: TaskStopper,
  output: OutputMeter,
  deadlineAt: number,
): () => void {
  const { signal, killSignal } = options;
  // Once the task has ended, all that can be cut short is the wait for a slow sink.
  const stop = () => {
    if (stopper.ended) output.dropSinks();
    else stopper.stop('cancelled', signalOf(signal?.reason));
  };
  const kill = () => (stopper.ended ? output.dropSinks() : stopper.kill('cancelled'));
  signal?.addEventListener('abort', stop, { once: true });
  killSignal?.addEventListener('abort', kill, { once: true });
  const cancelTimer =
    deadlineAt === Number.POSITIVE_INFINITY
      ? undefined
      : startTimer(deadlineAt - performance.now(), () =>
          stopper.ended ? output.hurry() : stopper.stop('timed_out'),
        );
  // A signal may have aborted during planning.
  if (signal?.aborted) stop();
  if (killSignal?.aborted) kill();
  return () => {
    signal?.removeEventListener('abort', stop);
    killSignal?.removeEventListener('abort', kill);
    cancelTimer?.();
  };
}

/** The number of the signal that an abort reason names; undefined if it names none. */
export const signalOf = (reason: unknown): number | undefined =>
  typeof reason === 'string' ? toSignalNumber(reason) : undefined;
