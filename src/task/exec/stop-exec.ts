/** Ends a further command: by a signal to its process group and KILL after a grace time, or by KILL at once. */
import { constants } from 'node:os';
import type { ExecutedCommand } from '../../runtime/exec-in-container.ts';
import { toSignalNumber } from '../../spec/parse-command.ts';

const { SIGTERM, SIGKILL } = constants.signals;
/** From the first signal to KILL. */
const GRACE_MS = 10_000;
/** A killed command that has not ended after this time is stuck in the kernel. */
const GONE_WITHIN_MS = 10_000;

export interface StopExecOptions {
  readonly signal?: AbortSignal;
  readonly killSignal?: AbortSignal;
}

export class ExecStopper {
  readonly #options: StopExecOptions;
  readonly #stopped = new AbortController();
  #command: Pick<ExecutedCommand, 'signal'> | undefined;
  #asked: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #giveUp: () => void = () => undefined;
  /** Resolves when a killed command has not ended in time. */
  readonly stuck = new Promise<undefined>((resolve) => {
    this.#giveUp = () => resolve(undefined);
  });

  constructor(options: StopExecOptions) {
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
  attach(command: Pick<ExecutedCommand, 'signal'>): void {
    this.#command = command;
    if (this.#asked !== undefined) this.#carryOut(this.#asked);
  }

  /** Signals nothing from now on: the command has ended. */
  end(): void {
    this.#command = undefined;
    clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener('abort', this.#onStop);
    this.#options.killSignal?.removeEventListener('abort', this.#onKill);
  }

  readonly #onStop = () => {
    const { reason } = this.#options.signal ?? {};
    this.#ask((typeof reason === 'string' ? toSignalNumber(reason) : undefined) ?? SIGTERM);
  };

  readonly #onKill = () => this.#ask(SIGKILL);

  #ask(signal: number): void {
    this.#asked = signal;
    this.#stopped.abort();
    this.#carryOut(signal);
  }

  #carryOut(signal: number): void {
    if (this.#command === undefined) return;
    clearTimeout(this.#timer);
    this.#timer =
      signal === SIGKILL
        ? setTimeout(() => this.#giveUp(), GONE_WITHIN_MS)
        : setTimeout(() => this.#ask(SIGKILL), GRACE_MS);
    this.#command.signal(signal);
  }
}
