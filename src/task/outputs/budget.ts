/** Counts what may still be taken: the limits of all outputs of a task together. */
import { LeftOut } from './left-out.ts';

export class Budget {
  #bytes: number;
  #entries: number;
  readonly #given: number;

  constructor({ bytes, entries }: { readonly bytes: number; readonly entries: number }) {
    this.#bytes = bytes;
    this.#given = bytes;
    this.#entries = entries;
  }

  /** Counts one entry. False if the limit is reached. */
  takeEntry(): boolean {
    this.#entries -= 1;
    return this.#entries >= 0;
  }

  get entriesLeft(): number {
    return Math.max(0, this.#entries);
  }

  get bytesTaken(): number {
    return this.#given - this.#bytes;
  }

  /** Throws `LeftOut` if a file of this size no longer fits. */
  requireBytes(bytes: number): void {
    if (bytes > this.#bytes) throw new LeftOut('size_limit');
  }

  takeBytes(bytes: number): void {
    this.requireBytes(bytes);
    this.#bytes -= bytes;
  }

  /** Gives back the bytes of a file that was not taken after all. */
  giveBack(bytes: number): void {
    this.#bytes += bytes;
  }
}
