/** Stops a run of a job from outside. The first reason counts. */
import type { CancelMark } from '../job/job-data.ts';

/** `lost`: this worker may not run the job any more; another worker may have it already. */
type StopReason = 'cancelled' | 'drained' | 'lost';

export type RunStop = ReturnType<typeof openRunStop>;

export function openRunStop() {
  const [term, kill] = [new AbortController(), new AbortController()];
  let reason: StopReason | null = null;
  let mark: CancelMark | undefined;
  const ask = (asked: StopReason): void => {
    reason ??= asked;
    term.abort();
  };
  return {
    /** Aborts at the first stop: the task gets its stop signal. */
    signal: term.signal,
    /** Aborts when the task must end at once. */
    killSignal: kill.signal,
    get reason(): StopReason | null {
      return reason;
    },
    /** Set if the job was cancelled, whatever the reason of the stop. */
    get mark(): CancelMark | undefined {
      return mark;
    },
    cancel(by: CancelMark): void {
      mark ??= by;
      ask('cancelled');
    },
    drain: () => ask('drained'),
    /** Kills the task at once: nothing of it may run any more. */
    lose(): void {
      ask('lost');
      kill.abort();
    },
    /** Kills the task of a stopped run that has not ended yet. */
    hasten(): void {
      if (reason !== null) kill.abort();
    },
  };
}
