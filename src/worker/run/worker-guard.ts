/** Keeps a guard process beside this worker, which ends the worker's tasks when the worker is dead, stopped or cut off from the store. */
import { openPromise, pause } from '../../core/pause.ts';
import type { Stackshim } from '../../door/stackshim.ts';

type Guard = Awaited<ReturnType<Stackshim['startGuard']>>;

export interface WorkerGuardOptions {
  readonly startGuard: () => Promise<Guard>;
  /** Called when a guard ended without being closed, and another one runs. */
  readonly onRestart: () => void;
  readonly onFailure: (error: unknown) => void;
}

const START_AGAIN_MS = 1_000;

export class WorkerGuard {
  readonly #options: WorkerGuardOptions;
  /** The permits that a new guard must get. */
  readonly #permits = new Map<string, number>();
  #guard: Guard | undefined;
  #isClosed = false;
  #present = openPromise();

  constructor(options: WorkerGuardOptions) {
    this.#options = options;
  }

  get isAlive(): boolean {
    return this.#guard !== undefined;
  }

  /** Resolves once a guard runs. */
  get ready(): Promise<void> {
    return this.#present.promise;
  }

  /** Rejects if the guard cannot be started. */
  async start(): Promise<void> {
    const guard = await this.#options.startGuard();
    guard.permit(this.#permits);
    this.#guard = guard;
    this.#present.resolve();
    void guard.ended.then(() => this.#replace());
  }

  /** Sets until when these tasks may run, on the clock of `bootMs`; null for a task that is over. */
  permit(untilMs: ReadonlyMap<string, number | null>): void {
    for (const [id, until] of untilMs) {
      if (until === null) this.#permits.delete(id);
      else this.#permits.set(id, until);
    }
    if (untilMs.size > 0) this.#guard?.permit(untilMs);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#guard?.close();
    this.#guard = undefined;
  }

  async #replace(): Promise<void> {
    if (this.#isClosed) return;
    this.#guard = undefined;
    this.#present = openPromise();
    while (!this.#isClosed) {
      try {
        await this.start();
        this.#options.onRestart();
        return;
      } catch (error) {
        this.#options.onFailure(error);
        await pause(START_AGAIN_MS);
      }
    }
  }
}
