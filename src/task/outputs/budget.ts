/** How much may still be taken: the limits of all outputs of a task together. */
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

  /** False if no more entries may be looked at. */
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

  /** Throws if a file of this size does not fit any more. */
  requireBytes(bytes: number): void {
    if (bytes > this.#bytes) throw new LeftOut('size_limit');
  }

  takeBytes(bytes: number): void {
    this.requireBytes(bytes);
    this.#bytes -= bytes;
  }

  /** For bytes of a file that was not taken after all. */
  giveBack(bytes: number): void {
    this.#bytes += bytes;
  }
}
