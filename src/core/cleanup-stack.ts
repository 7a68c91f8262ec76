/** Undoes steps in reverse order: tries every step, under one common deadline. */
import { within } from './pause.ts';

interface CleanupStep {
  readonly name: string;
  readonly undo: () => void | Promise<void>;
}

export interface CleanupFailure {
  readonly name: string;
  readonly error: unknown;
}

export class CleanupStack {
  readonly #steps: CleanupStep[] = [];

  /** Registers how to undo a step that was just done, or is about to be. */
  defer(name: string, undo: CleanupStep['undo']): void {
    this.#steps.push({ name, undo });
  }

  /** Drops all steps, to keep what was done. */
  release(): void {
    this.#steps.length = 0;
  }

  /** Runs all steps, last first, and empties the stack. Never rejects. A step past the deadline counts as failed; the next one is still tried. */
  async run(options: { readonly deadlineMs: number }): Promise<readonly CleanupFailure[]> {
    const failures: CleanupFailure[] = [];
    const endsAt = performance.now() + options.deadlineMs;
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        const done = step.undo()?.then(() => true);
        if (done === undefined) continue;
        if (await within(done, Math.max(0, endsAt - performance.now()))) continue;
        throw new Error('the clean-up deadline passed');
      } catch (error) {
        failures.push({ name: step.name, error });
      }
    }
    return failures;
  }
}
