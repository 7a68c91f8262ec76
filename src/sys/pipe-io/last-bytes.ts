/** Ends a stream at the last byte of its task, although other processes may go on writing to it. */
import type { ChunkListener } from './contract.ts';

/** How long a pipe is read after `finish`, and again as long while bytes of the task are in it. Other processes may have taken them. */
export const PIPE_LAST_MS = 200;
/** What a terminal holds is on its way through the kernel for moments: it counts as its task's when it comes within this time, */
export const TERMINAL_LAST_MS = 100;
/** and is no more than a terminal holds: 64 KiB and a page on their way, and what was just being read. */
export const TERMINAL_LAST_BYTES = 131_072;

/** A timer that stands still while the listener is waited for. */
export class LastMoments {
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

/** Hands chunks over, up to the last byte of the task. */
export class LastBytes {
  readonly #onChunk: ChunkListener;
  #left = Number.POSITIVE_INFINITY;

  constructor(onChunk: ChunkListener) {
    this.#onChunk = onChunk;
  }

  /** From here on only the next `bytes` bytes are handed over. */
  limit(bytes: number): void {
    this.#left = bytes;
  }

  get areOver(): boolean {
    return this.#left <= 0;
  }

  take(chunk: Uint8Array): void | Promise<void> {
    const kept = chunk.length > this.#left ? chunk.subarray(0, this.#left) : chunk;
    this.#left -= kept.length;
    return kept.length === 0 ? undefined : this.#onChunk(kept);
  }
}
