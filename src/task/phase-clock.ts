/** Measures a task's phases; each moment belongs to exactly one phase. */
import type { PhaseTimes } from './result.ts';

export type Phase = keyof PhaseTimes;

export class PhaseClock {
  readonly #times = new Map<Phase, number>();
  #phase: Phase = 'resolve';
  #since = performance.now();
  readonly #onPhase: ((phase: Phase) => void) | undefined;

  /** @param onPhase Called whenever another phase begins; must not throw. */
  constructor(onPhase?: (phase: Phase) => void) {
    this.#onPhase = onPhase;
  }

  enter(phase: Phase): void {
    const now = performance.now();
    const ended = this.#phase;
    this.#times.set(ended, (this.#times.get(ended) ?? 0) + now - this.#since);
    this.#phase = phase;
    this.#since = now;
    if (phase !== ended) this.#onPhase?.(phase);
  }

  /** Milliseconds per phase, with two decimals; the current phase counts up to now. */
  times(): PhaseTimes {
    this.enter(this.#phase);
    const total = (phase: Phase) => Math.round((this.#times.get(phase) ?? 0) * 100) / 100;
    return {
      resolve: total('resolve'),
      ...(this.#times.has('build') && { build: total('build') }),
      assemble: total('assemble'),
      configure: total('configure'),
      start: total('start'),
      run: total('run'),
      account: total('account'),
      remove: total('remove'),
    };
  }
}
