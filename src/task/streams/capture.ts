/** Keeps the beginning and the end of a stream, each up to half of a bound, so that neither is lost. */

export class StreamCapture {
  readonly #head: ByteRing;
  readonly #tail: ByteRing;
  #lostBytes = 0;

  /** @param captureBytes Most bytes of both halves together. */
  constructor(captureBytes: number) {
    const half = Math.floor(captureBytes / 2);
    this.#head = new ByteRing(half);
    this.#tail = new ByteRing(half);
  }

  /** True once something in the middle was dropped. */
  get truncated(): boolean {
    return this.#lostBytes > 0;
  }

  /** Adds a chunk; copies what it keeps. */
  push(chunk: Uint8Array): void {
    const first = chunk.subarray(0, this.#head.room);
    if (first.length > 0) this.#head.push(first);
    if (first.length < chunk.length) {
      this.#lostBytes += this.#tail.push(chunk.subarray(first.length));
    }
  }

  /** The kept bytes as UTF-8 text; a line in the middle says how many bytes were left out. */
  text(): string {
    const [head, tail] = [this.#head.bytes(), this.#tail.bytes()];
    if (!this.truncated) return Buffer.concat([head, tail]).toString('utf8');
    const [from, to] = [wholeCharactersStart(tail), wholeCharactersEnd(head)];
    const lost = this.#lostBytes + from + (head.length - to);
    const note = `\n[${lost} bytes left out]\n`;
    return head.toString('utf8', 0, to) + note + tail.toString('utf8', from);
  }
}

const FIRST_BYTES = 4_096;

/** The last bytes of a stream, up to a limit. Uses at most twice the memory of its content. */
class ByteRing {
  readonly #limit: number;
  #memory: Buffer = Buffer.alloc(0);
  #start = 0;
  #length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many more bytes fit without losing one. */
  get room(): number {
    return this.#limit - this.#length;
  }

  /** Adds a chunk; returns how many bytes were lost, of the content or of the chunk. */
  push(chunk: Uint8Array): number {
    const kept = chunk.subarray(Math.max(0, chunk.length - this.#limit));
    const lost = Math.max(0, this.#length + chunk.length - this.#limit);
    if (kept.length === 0) return lost;
    this.#grow(Math.min(this.#limit, this.#length + kept.length));
    const size = this.#memory.length;
    const end = (this.#start + this.#length) % size;
    const untilWrap = Math.min(kept.length, size - end);
    this.#memory.set(kept.subarray(0, untilWrap), end);
    this.#memory.set(kept.subarray(untilWrap), 0);
    const excess = Math.max(0, this.#length + kept.length - size);
    this.#start = (this.#start + excess) % size;
    this.#length = Math.min(size, this.#length + kept.length);
    return lost;
  }

  bytes(): Buffer {
    const untilWrap = this.#memory.subarray(this.#start, this.#start + this.#length);
    const wrapped = this.#memory.subarray(0, this.#length - untilWrap.length);
    return Buffer.concat([untilWrap, wrapped]);
  }

  /** Enlarges the memory. The content wraps around only in memory of the final size. */
  #grow(wanted: number): void {
    if (wanted <= this.#memory.length) return;
    const size = Math.max(FIRST_BYTES, wanted, 2 * this.#memory.length);
    const larger = Buffer.allocUnsafeSlow(Math.min(this.#limit, size));
    larger.set(this.bytes());
    this.#memory = larger;
    this.#start = 0;
  }
}

const isContinuation = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80;

/** Index of the first byte that starts a character; at most 3. */
function wholeCharactersStart(bytes: Uint8Array): number {
  let index = 0;
  while (index < 3 && isContinuation(bytes[index])) index += 1;
  return index;
}

/** Length without an incomplete character at the end. */
function wholeCharactersEnd(bytes: Uint8Array): number {
  let start = bytes.length - 1;
  while (start > bytes.length - 4 && isContinuation(bytes[start])) start -= 1;
  const lead = bytes[start];
  if (lead === undefined || lead < 0xc0) return bytes.length;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  return bytes.length - start < length ? start : bytes.length;
}
