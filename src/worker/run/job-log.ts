/** Streams the output of a running task into its job's log: in batches, in order, and up to a bound. */

import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { IQueueBackend } from 'bullmq';
import { LogRows, type LogStream, ROW_BYTES } from './log-rows.ts';

/** Where the rows go. */
export interface LogSink {
  /** May reject; then nothing more is written. */
  write(rows: readonly string[]): Promise<void>;
}

/** The job's log in the store. */
export const storeLog = (backend: IQueueBackend, id: string): LogSink => ({
  async write(rows) {
    // One after the other: a pool of connections would mix them up.
    for (const row of rows) await backend.addLog(id, row);
  },
});

/** What the names of log files end in. */
export const LOG_SUFFIX = '.ndjson';

/** A file of the worker's folder of logs. */
export const fileLog = (path: string): LogSink => ({
  async write(rows) {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
    const file = await open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
    try {
      await file.writeFile(rows.map((row) => `${row}\n`).join(''));
    } finally {
      await file.close();
    }
  },
});

export interface JobLogOptions {
  readonly sink: LogSink;
  readonly attempt: number;
  /** Output beyond it is counted and dropped. */
  readonly mostBytes: number;
  /** Called once if the rows cannot be written. */
  readonly onFailure: (error: unknown) => void;
}

const FLUSH_AFTER_MS = 250;
/** What a row counts besides its output: a task may write single bytes to its two streams in turn, and each becomes a row. */
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

  /** Resolves once everything is written, or cannot be. Never rejects. */
  async end(): Promise<void> {
    if (this.#droppedBytes > 0) {
      const note = `\n[stackshim: ${this.#droppedBytes} further bytes of output were not kept]\n`;
      this.#rows.add('err', Buffer.from(note), Date.now());
    }
    this.#flush(true);
    this.#isClosed = true;
    await this.#writing;
  }

  /** Writes nothing more: another worker may run the job. */
  abandon(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #flush(isLast: boolean): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isClosed) return;
    const rows = this.#rows.take(isLast);
    if (rows.length === 0) return;
    const { sink, onFailure } = this.#options;
    this.#writing = this.#writing.then(async () => {
      if (this.#isFailed) return;
      try {
        await sink.write(rows);
      } catch (error) {
        this.#isFailed = true;
        onFailure(error);
      }
    });
  }

  #isFailed = false;
}
