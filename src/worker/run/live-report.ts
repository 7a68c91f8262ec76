/** Tells the store that a task runs, and what it says about its progress: seldom, and never once the job is let go. */
import type { LiveState } from '../job/job-result.ts';

export interface LiveReportOptions {
  readonly update: (state: LiveState) => Promise<void>;
  readonly onFailure: (error: unknown) => void;
}

/** A task that has ended by then is not worth a request. */
const FIRST_AFTER_MS = 150;
const NEXT_AFTER_MS = 1_000;

export class LiveReport {
  readonly #options: LiveReportOptions;
  #next: LiveState | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> = Promise.resolve();
  #hasSent = false;

  constructor(options: LiveReportOptions) {
    this.#options = options;
  }

  set(state: LiveState): void {
    this.#next = state;
    this.#timer ??= setTimeout(() => this.#send(), this.#hasSent ? NEXT_AFTER_MS : FIRST_AFTER_MS);
  }

  /** Resolves when nothing is on its way any more; drops what was not sent. */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    this.#next = undefined;
    await this.#sending;
  }

  #send(): void {
    this.#timer = undefined;
    const state = this.#next;
    if (state === undefined) return;
    this.#next = undefined;
    this.#hasSent = true;
    this.#sending = this.#options.update(state).catch(this.#options.onFailure);
  }
}
