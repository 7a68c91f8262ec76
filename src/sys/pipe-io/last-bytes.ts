/** Ends a stream at the last byte of its task, even if other processes go on writing to it. */
import type { ChunkListener } from './contract.ts';

/** How long a pipe is read after `finish`, and again while bytes of the task are in it. Other processes may have taken those bytes. */
export const PIPE_LAST_MS = 200;
/** How long a terminal is read after `finish`: its bytes need a moment on their way through the kernel. */
export const TERMINAL_LAST_MS = 100;
/** The most bytes that a terminal holds after `finish`: 64 KiB and a page on their way, and the bytes that are being read. */
export const TERMINAL_LAST_BYTES = 131_072;

/** A timer that stops while the listener is busy. */
export class LastBytesTimer {
  readonly #ms: number;
  readonly #isOver: () => void;
  #leftMs: number;
  #since = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, isOver: () => void) {
    this.#ms = ms;
    this.#leftMs = ms;
    this.#isOver = isOver;
  }

  run(): void {
    if (this.#timer !== undefined) return;
    this.#since = performance.now();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#leftMs = this.#ms;
      this.#isOver();
    }, this.#leftMs);
  }

  stop(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#leftMs = Math.max(1, this.#leftMs - (performance.now() - this.#since));
  }
}

/** Hands over chunks, up to the last byte of the task. */
export class LastBytes {
  readonly #onChunk: ChunkListener;
  #left = Number.POSITIVE_INFINITY;

  constructor(onChunk: ChunkListener) {
    this.#onChunk = onChunk;
  }

  /** From now on, only the next `bytes` bytes are handed over. */
  limit(bytes: number): void {
    this.#left = bytes;
  }

  get isComplete(): boolean {
    return this.#left <= 0;
  }

  take(chunk: Uint8Array): void | Promise<void> {
    const kept = chunk.length > this.#left ? chunk.subarray(0, this.#left) : chunk;
    this.#left -= kept.length;
    return kept.length === 0 ? undefined : this.#onChunk(kept);
  }
}
