/** Reads a descriptor that libuv polls, in Node. */
import type { OnReadOpts, Socket } from 'node:net';
import type { ChunkListener, Drain } from './contract.ts';
import { LastBytes, LastMoments, rest } from './reading.ts';

/** One buffer for all sockets: libuv reads into it and hands it on before it reads again. */
const buffer = Buffer.allocUnsafeSlow(65_536);

export interface DrainSource {
  /** Opens the socket with a buffer of its own, so that it allocates no memory for each chunk. */
  open(onread: OnReadOpts): Socket;
  /** Reads the rest when the other side has closed, or when time is over. */
  readonly readRest?: () => Uint8Array;
  /** How many bytes of the task are still to be read when `finish` is called. */
  countLast(): number;
  /** For how long they are waited for, */
  readonly lastMs: number;
  /** and whether for as long again. */
  hasMore(): boolean;
  isEnd(error: unknown): boolean;
}

export class SocketDrain implements Drain {
  readonly ended: Promise<void>;
  readonly #source: DrainSource;
  readonly #last: LastBytes;
  readonly #socket: Socket;
  /** Resolves when the listener has taken its last chunk; undefined when it has. */
  #pending: Promise<void> | undefined;
  #endRest: (() => void) | undefined;
  readonly #moments: LastMoments;
  #isFinishing = false;
  #fail: (error: unknown) => void = () => undefined;

  constructor(source: DrainSource, onChunk: ChunkListener) {
    this.#source = source;
    this.#last = new LastBytes(onChunk);
    this.#moments = new LastMoments(source.lastMs, () => this.#giveUp());
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
    if (this.#last.areOver) this.#socket.destroy();
    else this.#moments.run();
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
    socket.once('end', () => this.#handRest());
    return closed.finally(() => {
      this.#moments.stop();
      this.#endRest?.();
    });
  }

  /** False: nothing more is read until the socket is resumed. */
  #take(length: number): boolean {
    this.#hand(Buffer.from(buffer.subarray(0, length)));
    if (this.#pending !== undefined) return false;
    if (this.#last.areOver) {
      this.#socket.destroy();
      return false;
    }
    if (this.#isFinishing) return true;
    this.#endRest = rest(length, () => this.#readOn());
    return this.#endRest === undefined;
  }

  #hand(chunk: Uint8Array): void {
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
    this.#moments.stop();
  }

  #handRest(): void {
    const chunk = this.#source.readRest?.();
    if (chunk !== undefined && chunk.length > 0) this.#hand(chunk);
  }

  #readOn(): void {
    this.#endRest = undefined;
    if (this.#socket.destroyed || this.#pending !== undefined) return;
    if (this.#last.areOver) {
      this.#socket.destroy();
      return;
    }
    this.#socket.resume();
    if (this.#isFinishing) this.#moments.run();
  }

  #giveUp(): void {
    if (this.#socket.destroyed) return;
    if (this.#source.hasMore()) {
      this.#moments.run();
      return;
    }
    this.#handRest();
    this.#socket.destroy();
  }
}
