/** Reads a descriptor chunk by chunk, in the executable. */
import type { ChunkListener, Drain } from './contract.ts';
import { LastBytes, LastMoments, rest } from './reading.ts';

export interface ChunkSource {
  /** Resolves to the next chunk; undefined, or an empty one, at the end. */
  read(): Promise<Uint8Array | undefined>;
  /** How many bytes count once it is to be finished; while a read waits, the engine has read nothing ahead. */
  countLast(isReading: boolean): number;
  /** For how long they are waited for, */
  readonly lastMs: number;
  /** and whether for as long again. */
  hasMore(): boolean;
  isEnd(error: unknown): boolean;
  close(): void;
}

export class BunDrain implements Drain {
  readonly ended: Promise<void>;
  readonly #source: ChunkSource;
  readonly #last: LastBytes;
  #endRest: (() => void) | undefined;
  /** Ends the read that waits, if one does. */
  #endRead: (() => void) | undefined;
  readonly #moments: LastMoments;
  #isFinishing = false;

  constructor(source: ChunkSource, onChunk: ChunkListener) {
    this.#source = source;
    this.#last = new LastBytes(onChunk);
    this.#moments = new LastMoments(source.lastMs, () => this.#giveUp());
    this.ended = this.#readAll().finally(() => {
      this.#moments.stop();
      this.#isFinishing = true;
      source.close();
    });
  }

  finish(): void {
    if (this.#isFinishing) return;
    this.#isFinishing = true;
    this.#last.limit(this.#source.countLast(this.#endRead !== undefined));
    this.#endRest?.();
    if (this.#last.areOver) this.#endRead?.();
    else if (this.#endRead !== undefined) this.#moments.run();
  }

  async #readAll(): Promise<void> {
    try {
      while (!this.#last.areOver) {
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
        this.#moments.stop();
      };
      this.#endRead = () => {
        settle();
        resolve(undefined);
      };
      this.#source.read().finally(settle).then(resolve, reject);
      if (this.#isFinishing) this.#moments.run();
    });
  }

  #rest(bytes: number): Promise<void> | undefined {
    return new Promise((resolve) => {
      this.#endRest = rest(bytes, resolve);
      if (this.#endRest === undefined) resolve();
    });
  }

  #giveUp(): void {
    if (this.#source.hasMore()) this.#moments.run();
    else this.#endRead?.();
  }
}
