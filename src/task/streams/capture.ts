/** Keeps the first half and the last half of a stream within a bound, so that neither its beginning nor its end is lost. */

export class StreamCapture {
  readonly #half: number;
  readonly #head: Uint8Array[] = [];
  readonly #tail: Uint8Array[] = [];
  #headBytes = 0;
  #tailBytes = 0;
  #lostBytes = 0;

  /** @param captureBytes How much to keep, both halves together. */
  constructor(captureBytes: number) {
    this.#half = Math.floor(captureBytes / 2);
  }

  /** True once something in the middle was left out. */
  get truncated(): boolean {
    return this.#lostBytes > 0;
  }

  push(chunk: Uint8Array): void {
    const room = this.#half - this.#headBytes;
    const first = chunk.subarray(0, Math.max(0, room));
    if (first.length > 0) {
      this.#head.push(first);
      this.#headBytes += first.length;
    }
    const rest = chunk.subarray(first.length);
    if (rest.length === 0) return;
    this.#tail.push(rest);
    this.#tailBytes += rest.length;
    this.#trimTail();
  }

  /** What was kept, as UTF-8 text; a line in the middle tells how many bytes were left out. */
  text(): string {
    const head = Buffer.concat(this.#head);
    const tail = Buffer.concat(this.#tail);
    if (!this.truncated) return Buffer.concat([head, tail]).toString('utf8');
    const [from, to] = [wholeCharactersStart(tail), wholeCharactersEnd(head)];
    const lost = this.#lostBytes + from + (head.length - to);
    const note = `\n[${lost} bytes left out]\n`;
    return head.toString('utf8', 0, to) + note + tail.toString('utf8', from);
  }

  #trimTail(): void {
    while (this.#tailBytes > this.#half) {
      const [oldest] = this.#tail;
      if (oldest === undefined) return;
      const excess = this.#tailBytes - this.#half;
      const cut = Math.min(excess, oldest.length);
      if (cut === oldest.length) this.#tail.shift();
      // A copy: a view would keep the whole chunk in memory.
      else this.#tail[0] = oldest.slice(cut);
      this.#tailBytes -= cut;
      this.#lostBytes += cut;
    }
  }
}

const isContinuation = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80;

/** Index of the first byte that starts a character, at most three bytes on. */
function wholeCharactersStart(bytes: Uint8Array): number {
  let index = 0;
  while (index < 3 && isContinuation(bytes[index])) index += 1;
  return index;
}

/** Length without a character that was cut off at the end. */
function wholeCharactersEnd(bytes: Uint8Array): number {
  let start = bytes.length - 1;
  while (start > bytes.length - 4 && isContinuation(bytes[start])) start -= 1;
  const lead = bytes[start];
  if (lead === undefined || lead < 0xc0) return bytes.length;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  return bytes.length - start < length ? start : bytes.length;
}
