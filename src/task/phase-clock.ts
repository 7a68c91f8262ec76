/** The clock of a task's phases. */
import type { PhaseTimes } from './result.ts';

export type Phase = keyof PhaseTimes;

/** Measures the phases of a task; each moment belongs to exactly one phase. */
export class PhaseClock {
  readonly #times = {
    resolve: 0,
    build: 0,
    assemble: 0,
    configure: 0,
    start: 0,
    run: 0,
    account: 0,
    remove: 0,
  };
  #phase: Phase = 'resolve';
  #since = performance.now();
  readonly #onPhase: ((phase: Phase) => void) | undefined;

  /** @param onPhase Called whenever another phase begins; must not throw. */
  constructor(onPhase?: (phase: Phase) => void) {
    this.#onPhase = onPhase;
  }

  /** Ends the current phase and begins another. Returns the total time of the ended phase in milliseconds. */
  enter(phase: Phase): number {
    const now = performance.now();
    const ended = this.#phase;
    this.#times[ended] += now - this.#since;
    this.#phase = phase;
    this.#since = now;
    if (phase !== ended) this.#onPhase?.(phase);
    return this.#times[ended];
  }

  /** Milliseconds with two decimals; the current phase counts up to now. */
  times(): PhaseTimes {
    this.enter(this.#phase);
    const round = (ms: number) => Math.round(ms * 100) / 100;
    const { resolve, build, assemble, configure, start, run, account, remove } = this.#times;
    return {
      resolve: round(resolve),
      ...(build === 0 ? {} : { build: round(build) }),
      assemble: round(assemble),
      configure: round(configure),
      start: round(start),
      run: round(run),
      account: round(account),
      remove: round(remove),
    };
  }
}
