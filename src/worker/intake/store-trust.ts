/**
 * Holds takes back after the server of the store was replaced by one that may lack what it acknowledged last: it may call jobs waiting that
 * other workers still run. After the time of a lock those runs are over: their renewals fail, or their guards end them. A worker that starts
 * within that time knows of no replacement, and does not wait.
 */
import type { QueueStore } from '../queue-store/queue-store.ts';

export interface StoreTrustOptions {
  readonly store: Pick<QueueStore, 'readServer'>;
  readonly lockMs: number;
  readonly monotonicMs: () => number;
  /** Takes are held back for this time. */
  readonly onHold: (holdMs: number) => void;
  /** Jobs may be taken again. */
  readonly onTrust: () => void;
  readonly onError: (error: unknown) => void;
}

export class StoreTrust {
  readonly #options: StoreTrustOptions;
  #server: string | undefined;
  #doubts = 0;
  #isAsking = false;
  #isTrusted = false;
  #untilMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: StoreTrustOptions) {
    this.#options = options;
    this.doubt();
  }

  get mayTake(): boolean {
    return this.#isTrusted && this.#options.monotonicMs() >= this.#untilMs;
  }

  /** The connection was lost: no job is taken until the server has told which one it is. */
  doubt(): void {
    this.#doubts += 1;
    this.#isTrusted = false;
    if (!this.#isAsking) void this.#ask();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    try {
      for (let doubts = 0; doubts !== this.#doubts; ) {
        doubts = this.#doubts;
        const { id, mayLack } = await this.#options.store.readServer();
        if (mayLack && this.#server !== undefined && id !== this.#server) this.#hold();
        this.#server = id;
      }
    } catch (error) {
      // The store was closed, or refuses the question: without an answer, takes go on.
      this.#options.onError(error);
    }
    this.#isAsking = false;
    this.#isTrusted = true;
    this.#options.onTrust();
  }

  #hold(): void {
    const { lockMs, monotonicMs, onHold, onTrust } = this.#options;
    this.#untilMs = monotonicMs() + lockMs;
    clearTimeout(this.#timer);
    // A timer may fire a moment early.
    this.#timer = setTimeout(onTrust, lockMs + 10);
    onHold(lockMs);
  }
}
