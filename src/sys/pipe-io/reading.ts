/** Decides how long a stream rests between two reads, and where it ends. */
import type { ChunkListener } from './contract.ts';

/** Chunks of at least this size count as large. */
const SMALL_BYTES = 16_384;
/** The most bytes that all streams together read in one turn of the event loop; this takes 1 to 2 ms. */
const TURN_BYTES = 2_097_152;
const PAUSE_MS = 4;
/** The most reads per millisecond of all streams with small chunks together. */
const STREAMS_PER_MS = 4;
const LONGEST_PAUSE_MS = 50;

let resting = 0;
let bytesOfTurn = 0;
let turnIsOpen = false;
/** The streams that wait for a later turn, in order of arrival: the function that ends the rest, and the last chunk's size. */
const nextTurns = new Map<() => void, number>();

/**
 * Rests a stream after a chunk. After a small chunk it rests some milliseconds, so that bytes written meanwhile are read as one chunk: chunks of
 * any size cost the process about the same. After a large chunk, if all streams together have used up this turn of the event loop, it rests until
 * a later turn. Calls `isOver` when the rest ends. Returns a function that ends the rest early; undefined if the stream need not rest.
 */
export function rest(chunkBytes: number, isOver: () => void): (() => void) | undefined {
  return chunkBytes < SMALL_BYTES ? restForAMoment(isOver) : restForATurn(chunkBytes, isOver);
}

function restForAMoment(isOver: () => void): () => void {
  resting += 1;
  const end = () => {
    if (timer === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    resting -= 1;
    isOver();
  };
  const pauseMs = Math.min(LONGEST_PAUSE_MS, PAUSE_MS + resting / STREAMS_PER_MS);
  let timer: NodeJS.Timeout | undefined = setTimeout(end, pauseMs);
  return end;
}

function restForATurn(chunkBytes: number, isOver: () => void): (() => void) | undefined {
  bytesOfTurn += chunkBytes;
  openTurn();
  if (bytesOfTurn <= TURN_BYTES && nextTurns.size === 0) return undefined;
  const end = () => {
    if (nextTurns.delete(end)) isOver();
  };
  nextTurns.set(end, chunkBytes);
  return end;
}

function openTurn(): void {
  if (turnIsOpen) return;
  turnIsOpen = true;
  setImmediate(endTurn);
}

/** Ends the rest of as many streams as one turn can read. */
function endTurn(): void {
  turnIsOpen = false;
  bytesOfTurn = 0;
  let bytes = 0;
  for (const [end, chunkBytes] of nextTurns) {
    bytes += chunkBytes;
    if (bytes > TURN_BYTES) break;
    end();
  }
  if (nextTurns.size > 0) openTurn();
}

// A stream ends at the last byte of its task, even if other processes go on writing to it.

/** How long to read a pipe after `finish`, and again while it holds bytes of the task, which other processes may have taken. */
export const PIPE_LAST_MS = 200;
/** How long to read a terminal after `finish`: its bytes need a moment to pass through the kernel. */
export const TERMINAL_LAST_MS = 100;
/** The most bytes that a terminal holds after `finish`: 64 KiB and a page in transit, and the bytes being read. */
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

/** Hands over chunks up to the task's last byte. */
export class LastBytes {
  readonly #onChunk: ChunkListener;
  #left = Number.POSITIVE_INFINITY;

  constructor(onChunk: ChunkListener) {
    this.#onChunk = onChunk;
  }

  /** Hands over only the next `bytes` bytes from now on. */
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
