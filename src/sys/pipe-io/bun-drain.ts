/** Reads a descriptor chunk by chunk in the executable. */
import type { ChunkListener, Drain } from './contract.ts';
import { LastBytes, LastBytesTimer, rest } from './reading.ts';

export interface ChunkSource {
  /** Resolves to the next chunk; at the end, to undefined or an empty chunk. */
  read(): Promise<Uint8Array | undefined>;
  /** How many more bytes to hand over after `finish`. While a read is pending, the engine has read nothing ahead. */
  countLast(isReading: boolean): number;
  /** How long to wait for these bytes. */
  readonly lastMs: number;
  /** Whether to wait that long again. */
  hasMore(): boolean;
  isEnd(error: unknown): boolean;
  close(): void;
}

export class BunDrain implements Drain {
  readonly ended: Promise<void>;
  readonly #source: ChunkSource;
  readonly #last: LastBytes;
  #endRest: (() => void) | undefined;
  /** Ends the pending read; undefined when no read is pending. */
  #endRead: (() => void) | undefined;
  readonly #lastTimer: LastBytesTimer;
  #isFinishing = false;

  constructor(source: ChunkSource, onChunk: ChunkListener) {
    this.#source = source;
    this.#last = new LastBytes(onChunk);
    this.#lastTimer = new LastBytesTimer(source.lastMs, () => this.#giveUp());
    this.ended = this.#readAll().finally(() => {
      this.#lastTimer.stop();
      this.#isFinishing = true;
      source.close();
    });
  }

  finish(): void {
    if (this.#isFinishing) return;
    this.#isFinishing = true;
    this.#last.limit(this.#source.countLast(this.#endRead !== undefined));
    this.#endRest?.();
    if (this.#last.isComplete) this.#endRead?.();
    else if (this.#endRead !== undefined) this.#lastTimer.run();
  }

  async #readAll(): Promise<void> {
    try {
      while (!this.#last.isComplete) {
        const chunk = await this.#read();
        if (chunk === undefined || chunk.length === 0) return;
        await this.#last.take(chunk);
        if (!this.#isFinishing) await this.#rest(chunk.length);
      }
    } catch (error) {
      if (!this.#source.isEnd(error)) throw error;
    }
  }

  #read(): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#endRead = undefined;
        this.#lastTimer.stop();
      };
      this.#endRead = () => {
        settle();
        resolve(undefined);
      };
      this.#source.read().finally(settle).then(resolve, reject);
      if (this.#isFinishing) this.#lastTimer.run();
    });
  }

  #rest(bytes: number): Promise<void> | undefined {
    return new Promise((resolve) => {
      this.#endRest = rest(bytes, resolve);
      if (this.#endRest === undefined) resolve();
    });
  }

  #giveUp(): void {
    if (this.#source.hasMore()) this.#lastTimer.run();
    else this.#endRead?.();
  }
}
