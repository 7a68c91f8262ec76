/** Streams the output of a running task into its job's log: in batches, in order, and up to a bound. */

import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { IQueueBackend } from 'bullmq';
import { LogRows, type LogStream, ROW_BYTES } from './log-rows.ts';

/** Writes rows. May reject after writing a part: all these rows then count as dropped, and later rows follow. */
type WriteRows = (rows: readonly string[]) => Promise<void>;

/** Writes to the job's log in the store. */
export const storeLog =
  (backend: IQueueBackend, id: string): WriteRows =>
  async (rows) => {
    // One at a time, because a connection pool would reorder the rows.
    for (const row of rows) await backend.addLog(id, row);
  };

/** Writes to a file in the worker's log folder. */
export function fileLog(path: string): WriteRows {
  // The last row may be incomplete because a disk was full, perhaps in an earlier attempt.
  let mayBeTorn = true;
  return async (rows) => {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
    const file = await open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
    try {
      const end = mayBeTorn && (await isTorn(file)) ? '\n' : '';
      mayBeTorn = true;
      await file.writeFile(end + rows.map((row) => `${row}\n`).join(''));
      mayBeTorn = false;
    } finally {
      await file.close();
    }
  };
}

async function isTorn(file: FileHandle): Promise<boolean> {
  const { size } = await file.stat();
  if (size === 0) return false;
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer.toString() !== '\n';
}

export interface JobLogOptions {
  readonly write: WriteRows;
  readonly attempt: number;
  /** Output beyond this bound is counted and dropped. */
  readonly mostBytes: number;
  /** Called for the first rows that cannot be written. */
  readonly onFailure: (error: unknown) => void;
}

const FLUSH_AFTER_MS = 250;
/** The cost of a row beside its output: a task that alternates single bytes between its two streams makes a row of each. */
const ROW_COST = 128;

export class JobLog {
  readonly #options: JobLogOptions;
  readonly #rows: LogRows;
  #leftBytes: number;
  #droppedBytes = 0;
  #lastStream: LogStream | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #isClosed = false;
  #hasFailed = false;

  constructor(options: JobLogOptions) {
    this.#options = options;
    this.#rows = new LogRows(options.attempt);
    this.#leftBytes = options.mostBytes;
  }

  add(stream: LogStream, chunk: Uint8Array): void {
    if (this.#isClosed) return;
    if (stream !== this.#lastStream) this.#leftBytes = Math.max(0, this.#leftBytes - ROW_COST);
    this.#lastStream = stream;
    const kept = chunk.subarray(0, this.#leftBytes);
    this.#leftBytes -= kept.length;
    this.#droppedBytes += chunk.length - kept.length;
    this.#rows.add(stream, kept, Date.now());
    if (this.#rows.bytes >= ROW_BYTES) this.#flush(false);
    else if (this.#rows.bytes > 0) {
      this.#timer ??= setTimeout(() => this.#flush(false), FLUSH_AFTER_MS);
    }
  }

  /** Resolves once everything is written or cannot be. Never rejects. */
  async end(): Promise<void> {
    this.#flush(true);
    await this.#writing;
    if (this.#droppedBytes > 0) {
      const note = `\n[stackshim: ${this.#droppedBytes} further bytes of output were not kept]\n`;
      this.#rows.add('err', Buffer.from(note), Date.now());
      this.#flush(true);
    }
    this.#isClosed = true;
    await this.#writing;
  }

  /** Writes nothing more, because another worker may run the job. */
  abandon(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #flush(isLast: boolean): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isClosed) return;
    const { bytes } = this.#rows;
    const rows = this.#rows.take(isLast);
    if (rows.length === 0) return;
    const { write, onFailure } = this.#options;
    this.#writing = this.#writing.then(async () => {
      try {
        await write(rows);
      } catch (error) {
        // There may be room again for later rows.
        this.#droppedBytes += bytes;
        if (!this.#hasFailed) onFailure(error);
        this.#hasFailed = true;
      }
    });
  }
}
