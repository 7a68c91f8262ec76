/** Stops a run of a job from outside. The first reason counts. */
import type { CancelMark } from '../job/job-data.ts';

/** `lost`: this worker may not run the job any more; another worker may have it already. */
type StopReason = 'cancelled' | 'drained' | 'lost';

export class RunStop {
  readonly #term = new AbortController();
  readonly #kill = new AbortController();
  /** Aborts at the first stop: the task gets its stop signal. */
  readonly signal: AbortSignal = this.#term.signal;
  /** Aborts when the task must end at once. */
  readonly killSignal: AbortSignal = this.#kill.signal;
  #reason: StopReason | null = null;
  #mark: CancelMark | undefined;

  get reason(): StopReason | null {
    return this.#reason;
  }

  /** Set if the job was cancelled, whatever the reason of the stop. */
  get mark(): CancelMark | undefined {
    return this.#mark;
  }

  cancel(mark: CancelMark): void {
    this.#mark ??= mark;
    this.#ask('cancelled');
  }

  drain(): void {
    this.#ask('drained');
  }

  /** Kills the task at once: nothing of it may run any more. */
  lose(): void {
    this.#ask('lost');
    this.#kill.abort();
  }

  /** Kills the task of a stopped run that has not ended yet. */
  hasten(): void {
    if (this.#reason !== null) this.#kill.abort();
  }

  #ask(reason: StopReason): void {
    this.#reason ??= reason;
    this.#term.abort();
  }
}
