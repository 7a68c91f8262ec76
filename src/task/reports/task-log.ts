/**
 * The log of one task: its output in the order of arrival, in numbered files. Each chunk is a frame: a line `<stream> <time> <bytes>`, the
 * bytes as they are, and a line break. The two newest files stay, each at most half of the bound, so the newest output is always kept.
 */
import { closeSync, constants, ftruncateSync, openSync, rmSync } from 'node:fs';
import { within } from '../../core/pause.ts';
import { writeFully } from '../../sys/pipes.ts';
import type { Fd } from '../../sys/system.ts';
import type { LogSummary } from '../result.ts';
import type { StreamName } from '../streams/task-output.ts';
import { logFile } from './report-places.ts';
import { toDiskError } from './store-end.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
const NEW_FILE = O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW;

/** How long the disk may take for the last chunk of an ended task. */
const DISK_TAKES_WITHIN_MS = 10_000;

interface OpenFile {
  readonly number: number;
  readonly fd: Fd;
  /** Size of the file. */
  size: number;
  /** Bytes of output in the file. */
  outputBytes: number;
}

/** Writes a log. A failed write loses its chunk, which is counted; the next chunk is tried again. */
export class TaskLog {
  readonly #folder: string;
  readonly #fileBytes: number;
  #file: OpenFile;
  /** Bytes of output in the file before the current one. */
  #previousBytes = 0;
  #droppedBytes = 0;
  #lostBytes = 0;
  #error: LogSummary['error'] = null;
  #isClosed = false;
  /** Both streams write to one file: each chunk waits for those before it. */
  #last: Promise<void> = Promise.resolve();

  /**
   * Creates the first file. Throws the error of open(2). `bound`: most bytes of all files together. `firstFolder`: the folder's present path,
   * if it is renamed to `folder` later.
   */
  constructor(folder: string, bound: number, firstFolder = folder) {
    this.#folder = folder;
    this.#fileBytes = Math.floor(bound / 2);
    this.#file = openFile(firstFolder, 1);
  }

  /** Adds a chunk, which must not change until the promise resolves. Never rejects. */
  write(stream: StreamName, chunk: Uint8Array): Promise<void> {
    this.#last = this.#last.then(() => this.#append(stream, chunk));
    return this.#last;
  }

  /** Resolves when everything is written, at the latest after 10 s. A second call does nothing. */
  async close(): Promise<void> {
    const isWritten = await within(
      this.#last.then(() => true),
      DISK_TAKES_WITHIN_MS,
    );
    if (this.#isClosed) return;
    this.#isClosed = true;
    // A thread that still writes uses the descriptor, whose number must not become another file's.
    if (isWritten === true) closeSync(this.#file.fd);
  }

  summary(): LogSummary {
    return {
      bytes: this.#previousBytes + this.#file.outputBytes,
      droppedBytes: this.#droppedBytes,
      lostBytes: this.#lostBytes,
      error: this.#error,
    };
  }

  async #append(stream: StreamName, chunk: Uint8Array): Promise<void> {
    if (this.#isClosed) {
      this.#lostBytes += chunk.length;
      return;
    }
    const head = `${stream} ${new Date().toISOString()} ${chunk.length}\n`;
    const frame = Buffer.concat([Buffer.from(head, 'latin1'), chunk, LINE_END]);
    try {
      if (this.#file.size > 0 && this.#file.size + frame.length > this.#fileBytes) this.#turn();
      await writeFully(this.#file.fd, frame);
      this.#file.size += frame.length;
      this.#file.outputBytes += chunk.length;
    } catch (error) {
      this.#lostBytes += chunk.length;
      this.#error ??= toDiskError(error, 'write the log').toJSON();
      try {
        // A frame must not begin in the middle of another one.
        ftruncateSync(this.#file.fd, this.#file.size);
      } catch {
        // A reader stops at the unfinished frame.
      }
    }
  }

  /** Goes on in a new file, and removes the file before the full one. */
  #turn(): void {
    const full = this.#file;
    this.#file = openFile(this.#folder, full.number + 1);
    closeSync(full.fd);
    rmSync(logFile(this.#folder, full.number - 1), { force: true });
    this.#droppedBytes += this.#previousBytes;
    this.#previousBytes = full.outputBytes;
  }
}

function openFile(folder: string, number: number): OpenFile {
  const fd = openSync(logFile(folder, number), NEW_FILE, 0o600);
  return { number, fd, size: 0, outputBytes: 0 };
}

const LINE_END = Buffer.from('\n');
