/** Reads a descriptor that libuv polls, on Node. */
import type { OnReadOpts, Socket } from 'node:net';
import type { ChunkListener, Drain } from './contract.ts';
import { LastBytes, LastBytesTimer, rest } from './reading.ts';

/** One buffer for all sockets: libuv fills it and delivers the chunk before it reads again. */
const buffer = Buffer.allocUnsafeSlow(65_536);

export interface DrainSource {
  /** Opens the socket with the given buffer, which saves an allocation for each chunk. */
  open(onread: OnReadOpts): Socket;
  /** Reads the rest when the other side has closed, or the time is over. */
  readonly readRest?: () => Uint8Array;
  /** How many of the task's bytes are unread when `finish` is called. */
  countLast(): number;
  /** How long to wait for these bytes. */
  readonly lastMs: number;
  /** Whether to wait that long again. */
  hasMore(): boolean;
  isEnd(error: unknown): boolean;
}

export class SocketDrain implements Drain {
  readonly ended: Promise<void>;
  readonly #source: DrainSource;
  readonly #last: LastBytes;
  readonly #socket: Socket;
  /** Resolves when the listener has taken its last chunk; undefined if it has. */
  #pending: Promise<void> | undefined;
  #endRest: (() => void) | undefined;
  readonly #lastTimer: LastBytesTimer;
  #isFinishing = false;
  #fail: (error: unknown) => void = () => undefined;

  constructor(source: DrainSource, onChunk: ChunkListener) {
    this.#source = source;
    this.#last = new LastBytes(onChunk);
    this.#lastTimer = new LastBytesTimer(source.lastMs, () => this.#giveUp());
    this.#socket = source.open({ buffer, callback: (length) => this.#take(length) });
    this.ended = this.#watch();
  }

  get socket(): Socket {
    return this.#socket;
  }

  finish(): void {
    if (this.#isFinishing) return;
    this.#isFinishing = true;
    if (this.#socket.destroyed) return;
    this.#last.limit(this.#source.countLast());
    this.#endRest?.();
    if (this.#pending !== undefined) return;
    if (this.#last.isComplete) this.#socket.destroy();
    else this.#lastTimer.run();
  }

  #watch(): Promise<void> {
    const socket = this.#socket;
    const closed = new Promise<void>((resolve, reject) => {
      this.#fail = (error) => {
        reject(error);
        socket.destroy();
      };
      socket.once('close', () => resolve(this.#pending));
      socket.once('error', (error) =>
        this.#source.isEnd(error) ? resolve(this.#pending) : reject(error),
      );
    });
    socket.once('end', () => this.#deliverRest());
    return closed.finally(() => {
      this.#lastTimer.stop();
      this.#endRest?.();
    });
  }

  /** Returns false to stop reading until the socket is resumed. */
  #take(length: number): boolean {
    this.#deliver(Buffer.from(buffer.subarray(0, length)));
    if (this.#pending !== undefined) return false;
    if (this.#last.isComplete) {
      this.#socket.destroy();
      return false;
    }
    if (this.#isFinishing) return true;
    this.#endRest = rest(length, () => this.#readOn());
    return this.#endRest === undefined;
  }

  #deliver(chunk: Uint8Array): void {
    const taken = this.#last.take(chunk);
    if (taken === undefined) return;
    const pending = taken.then(
      () => {
        if (this.#pending === pending) this.#pending = undefined;
        this.#readOn();
      },
      (error: unknown) => this.#fail(error),
    );
    this.#pending = pending;
    this.#lastTimer.stop();
  }

  #deliverRest(): void {
    const chunk = this.#source.readRest?.();
    if (chunk !== undefined && chunk.length > 0) this.#deliver(chunk);
  }

  #readOn(): void {
    this.#endRest = undefined;
    if (this.#socket.destroyed || this.#pending !== undefined) return;
    if (this.#last.isComplete) {
      this.#socket.destroy();
      return;
    }
    this.#socket.resume();
    if (this.#isFinishing) this.#lastTimer.run();
  }

  #giveUp(): void {
    if (this.#socket.destroyed) return;
    if (this.#source.hasMore()) {
      this.#lastTimer.run();
      return;
    }
    this.#deliverRest();
    this.#socket.destroy();
  }
}
