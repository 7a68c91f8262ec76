/** Keeps a long walk in small synchronous steps from blocking the event loop, and stops it on request. */
import { nextTurn } from '../../core/pause.ts';
import { Stopped } from './left-out.ts';

/** How long the walk may hold the event loop. */
const TURN_MS = 4;

export class Pace {
  readonly #isStopped: () => boolean;
  #since = performance.now();

  /** @param isStopped Called once per turn. */
  constructor(isStopped: () => boolean) {
    this.#isStopped = isStopped;
  }

  /** Whether {@link rest} should be awaited now. */
  get isDue(): boolean {
    return performance.now() - this.#since >= TURN_MS;
  }

  /** Gives way to the rest of the program. Rejects with {@link Stopped}. */
  async rest(): Promise<void> {
    await nextTurn();
    if (this.#isStopped()) throw new Stopped();
    this.#since = performance.now();
  }
}
