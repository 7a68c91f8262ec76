/** Ends a further command: by a signal to its process group and KILL after a grace time, or by KILL at once. */
import type { ExecOptions } from './exec-options.ts';

/** From the first signal to KILL. */
const GRACE_MS = 10_000;
/** A killed command that has not ended after this time is stuck in the kernel. */
const GONE_WITHIN_MS = 10_000;

export interface StoppableCommand {
  /** Asks the command to end, by the signal that the caller's reason names. */
  stop(reason: unknown): void;
  kill(): void;
}

export class ExecStopper {
  readonly #options: Pick<ExecOptions, 'signal' | 'killSignal'>;
  readonly #stopped = new AbortController();
  #command: StoppableCommand | undefined;
  #asked: 'stop' | 'kill' | undefined;
  #timer: NodeJS.Timeout | undefined;
  #giveUp: () => void = () => undefined;
  /** Resolves when a killed command has not ended in time. */
  readonly stuck = new Promise<undefined>((resolve) => {
    this.#giveUp = () => resolve(undefined);
  });

  constructor(options: Pick<ExecOptions, 'signal' | 'killSignal'>) {
    this.#options = options;
    const { signal, killSignal } = options;
    signal?.addEventListener('abort', this.#onStop, { once: true });
    killSignal?.addEventListener('abort', this.#onKill, { once: true });
    if (signal?.aborted) this.#onStop();
    if (killSignal?.aborted) this.#onKill();
  }

  /** Aborts when the caller wants the command to end. */
  get signal(): AbortSignal {
    return this.#stopped.signal;
  }

  /** Sets the command to end, and ends it if that was asked before. */
  attach(command: StoppableCommand): void {
    this.#command = command;
    this.#carryOut();
  }

  /** Signals nothing from now on: the command has ended. */
  end(): void {
    this.#command = undefined;
    clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener('abort', this.#onStop);
    this.#options.killSignal?.removeEventListener('abort', this.#onKill);
  }

  readonly #onStop = () => this.#ask('stop');
  readonly #onKill = () => this.#ask('kill');

  #ask(how: 'stop' | 'kill'): void {
    this.#asked = how;
    this.#stopped.abort();
    this.#carryOut();
  }

  #carryOut(): void {
    const command = this.#command;
    if (command === undefined || this.#asked === undefined) return;
    clearTimeout(this.#timer);
    if (this.#asked === 'kill') {
      this.#timer = setTimeout(() => this.#giveUp(), GONE_WITHIN_MS);
      command.kill();
    } else {
      this.#timer = setTimeout(this.#onKill, GRACE_MS);
      command.stop(this.#options.signal?.reason);
    }
  }
}
