/** Reads the content of files: never beyond the size that a file had when it was opened, and of sparse files only the data. */
import { read, readSync, type Stats } from 'node:fs';
import type { Fd } from '../../sys/system.ts';
import { nextData, nextHole } from '../../sys/tree-calls.ts';
import type { Budget } from './budget.ts';
import { LeftOut } from './left-out.ts';
import type { Pace } from './pace.ts';
import type { SourceFile } from './tree-target.ts';

/** Files up to this size are read synchronously: the thread pool would take longer than the copy. */
const SMALL_BYTES = 256 * 1024;
const CHUNK_BYTES = 1024 * 1024;
/** The unit in which stat(2) counts blocks, on every filesystem. */
const BLOCK_BYTES = 512;

/** A part of a file that has data. */
export interface Extent {
  readonly from: number;
  readonly to: number;
}

/** Takes bytes, which are valid only until the function returns or its promise resolves. */
export type Put = (bytes: Uint8Array, position: number) => void | Promise<void>;

export class ContentReader {
  readonly #budget: Budget;
  readonly #pace: Pace;
  readonly #small = Buffer.allocUnsafeSlow(SMALL_BYTES);
  #large: Buffer | undefined;

  constructor(budget: Budget, pace: Pace) {
    this.#budget = budget;
    this.#pace = pace;
  }

  /** Throws `LeftOut` if this many bytes exceed the limit. */
  require(bytes: number): void {
    this.#budget.requireBytes(bytes);
  }

  /** Passes a file's data to `put`, in order. Rejects with `LeftOut` if the file cannot be read or exceeds the limit; its bytes then do not count. */
  async read(file: SourceFile, put: Put): Promise<void> {
    const { fd, stats } = file;
    if (isSparse(stats)) return await this.readParts(fd, extentsOf(file), put);
    this.require(stats.size);
    await this.readParts(fd, [{ from: 0, to: stats.size }], put);
  }

  /** Like `read`, for parts of an open file. */
  async readParts(fd: Fd, extents: Iterable<Extent>, put: Put): Promise<void> {
    const before = this.#budget.bytesTaken;
    try {
      for (const extent of extents) {
        await this.#pass(fd, extent, put);
        if (this.#pace.isDue) await this.#pace.rest();
      }
    } catch (error) {
      this.#budget.giveBack(this.#budget.bytesTaken - before);
      throw error;
    }
  }

  async #pass(fd: Fd, { from, to }: Extent, put: Put): Promise<void> {
    const isSmall = to - from <= SMALL_BYTES;
    const whole = isSmall ? this.#small : this.#largeBuffer();
    for (let at = from; at < to; ) {
      const buffer = whole.subarray(0, to - at);
      const count = isSmall
        ? readable(() => readSync(fd, buffer, 0, buffer.length, at))
        : await readAside(fd, buffer, at);
      // The file has become shorter.
      if (count === 0) return;
      this.#budget.takeBytes(count);
      const putting = put(buffer.subarray(0, count), at);
      if (putting !== undefined) await putting;
      at += count;
      if (this.#pace.isDue) await this.#pace.rest();
    }
  }

  #largeBuffer(): Buffer {
    this.#large ??= Buffer.allocUnsafeSlow(CHUNK_BYTES);
    return this.#large;
  }
}

/** Whether a file takes less disk space than its size: it has holes, or its filesystem compresses it. */
export const isSparse = ({ blocks, size }: Stats): boolean => blocks * BLOCK_BYTES < size;

/** The parts of a sparse file that have data, in order. */
export function* extentsOf({ fd, stats: { size } }: SourceFile): Generator<Extent> {
  for (let at = 0; at < size; ) {
    const from = readable(() => nextData(fd, at));
    if (from === undefined || from >= size) return;
    const to = Math.min(readable(() => nextHole(fd, from)) ?? size, size);
    if (to <= from) return;
    yield { from, to };
    at = to;
  }
}

const readAside = (fd: Fd, buffer: Buffer, at: number): Promise<number> =>
  new Promise((resolve, reject) => {
    read(fd, buffer, 0, buffer.length, at, (error, count) => {
      if (error === null) resolve(count);
      else reject(new LeftOut('unreadable'));
    });
  });

function readable<T>(call: () => T): T {
  try {
    return call();
  } catch {
    throw new LeftOut('unreadable');
  }
}
