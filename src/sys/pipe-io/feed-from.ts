/** Copies a caller's stream into a pipe or terminal. The stream stays its owner's: it is neither ended nor destroyed. */
import type { Readable, Writable } from 'node:stream';
import { errnoCodeOf } from '../../core/errors.ts';
import type { Feed } from './contract.ts';

export interface FeedTarget {
  /** The most bytes of one write. A write takes all of its bytes, or none if `done` gets an error. */
  readonly maxBytes: number;
  /** Writes `bytes` and calls `done` once. No other write begins before that. */
  write(bytes: Uint8Array, done: (error?: Error | null) => void): void;
  /** Called when the source has ended or failed and all that it delivered is written. */
  end(): void;
  /** Whether a write error only means that the target's reader is gone. */
  isEnd(error: Error): boolean;
}

/** A chunk of the source, and the part of it that the target has not taken. */
interface Held {
  readonly chunk: unknown;
  readonly all: Uint8Array;
  rest: Uint8Array;
}

/** Reads `source` only as fast as the target takes bytes. When the feed is stopped, bytes not taken go back into the source. */
class SourceFeed implements Feed {
  readonly #source: Readable;
  readonly #target: FeedTarget;
  readonly #onError: (error: unknown) => void;
  /** More than one chunk if other code makes the source flow, too. */
  readonly #held: Held[] = [];
  #isWriting = false;
  #isPumping = false;
  /** Whether the source delivers nothing more. */
  #isOver = false;
  #isStopped = false;

  constructor(source: Readable, target: FeedTarget, onError: (error: unknown) => void) {
    this.#source = source;
    this.#target = target;
    this.#onError = onError;
    if (source.readable === false) {
      // The source failed after `requireStreams` had accepted it.
      if (source.errored) this.#onError(source.errored);
      this.#endSource();
      return;
    }
    source.on('data', this.#onData);
    source.on('end', this.#endSource);
    source.on('close', this.#endSource);
    source.on('error', this.#fail);
    source.resume();
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const source = this.#source;
    source.off('data', this.#onData);
    source.off('end', this.#endSource);
    source.off('close', this.#endSource);
    source.off('error', this.#fail);
    // As in `unpipe`: a stream that flows without a listener would lose its data.
    if (source.listenerCount('data') === 0) source.pause();
    else if (source.readable) source.resume();
    this.#returnUnread();
  }

  readonly #onData = (chunk: unknown): void => {
    try {
      const all = toBytes(chunk);
      if (all.length > 0) this.#held.push({ chunk, all, rest: all });
    } catch (error) {
      this.#source.off('data', this.#onData);
      this.#fail(error);
      return;
    }
    this.#pump();
  };

  readonly #fail = (error: unknown): void => {
    this.#onError(error);
    this.#endSource();
  };

  readonly #endSource = (): void => {
    this.#isOver = true;
    this.#pump();
  };

  #pump(): void {
    // A target may call `done` before `write` returns: a loop handles that; recursion could overflow the stack.
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (!this.#isStopped && !this.#isWriting && this.#held[0] !== undefined) {
      this.#write(this.#held[0]);
    }
    this.#isPumping = false;
    if (this.#isStopped) return;
    if (this.#isWriting) this.#source.pause();
    else if (this.#isOver) {
      this.stop();
      this.#target.end();
    } else this.#source.resume();
  }

  #write(held: Held): void {
    const bytes = held.rest.subarray(0, this.#target.maxBytes);
    this.#isWriting = true;
    this.#target.write(bytes, (error) => {
      this.#isWriting = false;
      if (this.#isStopped) return;
      if (error) {
        if (!this.#target.isEnd(error)) this.#onError(error);
        this.stop();
        return;
      }
      held.rest = held.rest.subarray(bytes.length);
      if (held.rest.length === 0) this.#held.shift();
      this.#pump();
    });
  }

  #returnUnread(): void {
    const source = this.#source;
    for (const { chunk, all, rest } of this.#held.reverse()) {
      if (!source.readable) return;
      const isWhole = rest.length === all.length;
      if (isWhole && typeof chunk === 'string') {
        source.unshift(chunk, source.readableEncoding ?? 'utf8');
      } else source.unshift(isWhole ? chunk : Buffer.from(rest));
    }
  }
}

function toBytes(chunk: unknown): Uint8Array {
  if (typeof chunk === 'string') return Buffer.from(chunk);
  if (chunk instanceof Uint8Array) return chunk;
  if (ArrayBuffer.isView(chunk)) {
    return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  throw new TypeError(`the input stream gave a value of type ${typeof chunk}, not text or bytes`);
}

/** @param sink The pipe's write end, closed at the end of `source` and when the feed is stopped. */
export function feedSink(
  sink: Writable,
  source: Readable,
  maxBytes: number,
  onError: (error: unknown) => void,
): Feed {
  // Ignored: the callback of each write gets the same error.
  sink.on('error', () => undefined);
  const target: FeedTarget = {
    maxBytes,
    write: (bytes, done) => void sink.write(bytes, done),
    end: () => void sink.end(),
    // EPIPE: the pipe has no reader any more.
    isEnd: (error) => errnoCodeOf(error) === 'EPIPE',
  };
  const feed = new SourceFeed(source, target, onError);
  return {
    stop() {
      feed.stop();
      sink.destroy();
    },
  };
}

/** The end-of-file character of a new terminal (VEOF, termios(3)): Ctrl-D. */
const END_OF_FILE = '\u0004';
const NEWLINE = 0x0a;

/** Types the bytes of `source`, then the end-of-file character, into a terminal's master. The sink stays open to be read from. */
export function typeInto(
  sink: Writable,
  source: Readable,
  onError: (error: unknown) => void,
): Feed {
  let atLineStart = true;
  // Ignored: the callback of each write gets the same error.
  sink.on('error', () => undefined);
  const target: FeedTarget = {
    maxBytes: Number.POSITIVE_INFINITY,
    write(bytes, done) {
      atLineStart = bytes.at(-1) === NEWLINE;
      sink.write(bytes, done);
    },
    // In the middle of a line, the first end-of-file character only hands over the line so far: termios(3), VEOF.
    end: () => void sink.write(atLineStart ? END_OF_FILE : END_OF_FILE.repeat(2)),
    isEnd: isHangUp,
  };
  return new SourceFeed(source, target, onError);
}

/** Whether an error only means that the last process closed the terminal. */
export const isHangUp = (error: unknown): boolean => errnoCodeOf(error) === 'EIO';
