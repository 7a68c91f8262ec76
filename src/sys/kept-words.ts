/** Keeps the beginning and the end of a program's output, in bounded memory. */

export class KeptWords {
  readonly #half: number;
  #first = Buffer.alloc(0);
  #last = Buffer.alloc(0);
  #isWhole = true;

  /** @param bytes The most that is kept: half for the beginning, half for the end. */
  constructor(bytes: number) {
    this.#half = bytes / 2;
  }

  push(chunk: Uint8Array): void {
    const free = this.#half - this.#first.length;
    if (free > 0) this.#first = Buffer.concat([this.#first, chunk.subarray(0, free)]);
    const rest = Buffer.concat([this.#last, chunk.subarray(free)]);
    if (rest.length > this.#half) this.#isWhole = false;
    this.#last = rest.subarray(-this.#half);
  }

  get text(): string {
    const between = Buffer.from(this.#isWhole ? '' : '\n…\n');
    return Buffer.concat([this.#first, between, this.#last]).toString('utf8');
  }
}
