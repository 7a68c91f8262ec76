/** The master of a terminal, read and written without blocking the event loop, in both engines. */
import { createWriteStream, read } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { ReadStream } from 'node:tty';
import { promisify } from 'node:util';
import { errnoCodeOf } from '../core/errors.ts';
import type { ChunkListener, Drain } from './pipes.ts';
import type { Fd } from './system.ts';

export interface TerminalMaster {
  /**
   * Hands every chunk to `onChunk`, in order; a promise it returns is awaited before the next chunk is read.
   * The end is that of the last process that had the terminal open, or `stop`.
   */
  drain(onChunk: ChunkListener): Drain;
  /** Types what `source` gives into the terminal, and its end-of-file character at the end of `source`. */
  feed(source: Readable, onError: (error: unknown) => void): void;
  /** A second call does nothing. */
  close(): void;
}

/** The end-of-file character of a new terminal (VEOF, termios(3)): Ctrl-D. */
const END_OF_FILE = '\u0004';
const CHUNK_BYTES = 16_384;

/** Takes the descriptor over and closes it. */
export function openTerminalMaster(fd: Fd): TerminalMaster {
  // The executable has no terminal streams that take a master; it runs one task, so that a thread for it is not missed.
  return 'Bun' in globalThis ? openOnThreads(fd) : openAsStream(fd);
}

function openAsStream(fd: Fd): TerminalMaster {
  const stream = new ReadStream(fd);
  const ended = new Promise<void>((resolve, reject) => {
    stream.once('close', () => resolve());
    stream.once('error', (error) => (isHangUp(error) ? resolve() : reject(error)));
  });
  return {
    drain(onChunk) {
      const read = new Promise<void>((resolve, reject) => {
        stream.on('data', (chunk: Uint8Array) => {
          const pending = onChunk(chunk);
          if (pending === undefined) return;
          stream.pause();
          pending.then(() => stream.resume(), reject);
        });
        ended.then(resolve, reject);
      });
      return { ended: read, stop: () => stream.destroy() };
    },
    feed: (source, onError) => typeInto(stream, source, onError),
    close: () => void stream.destroy(),
  };
}

const readAsync = promisify(read);

function openOnThreads(fd: Fd): TerminalMaster {
  const sink = createWriteStream('', { fd });
  let stopped = false;
  const readAll = async (onChunk: ChunkListener) => {
    while (!stopped) {
      const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
      const { bytesRead } = await readAsync(fd, buffer, 0, buffer.length, null);
      if (bytesRead === 0) return;
      await onChunk(buffer.subarray(0, bytesRead));
    }
  };
  return {
    drain(onChunk) {
      const ended = readAll(onChunk).catch((error: unknown) => {
        if (!isHangUp(error)) throw error;
      });
      return {
        ended,
        stop: () => {
          stopped = true;
        },
      };
    },
    feed: (source, onError) => typeInto(sink, source, onError),
    close: () => void sink.destroy(),
  };
}

/** Does not end the sink: what is typed must not close what is read. */
function typeInto(sink: Writable, source: Readable, onError: (error: unknown) => void): void {
  let atLineStart = true;
  sink.on('error', (error) => {
    source.unpipe(sink);
    if (!isHangUp(error)) onError(error);
  });
  source.on('data', (chunk: Uint8Array | string) => {
    if (chunk.length > 0) atLineStart = chunk.at(-1) === '\n' || chunk.at(-1) === 0x0a;
  });
  // In the middle of a line the first one only sends what there is of it: termios(3), VEOF.
  source.once('end', () => sink.write(atLineStart ? END_OF_FILE : END_OF_FILE.repeat(2)));
  source.once('error', onError);
  source.pipe(sink, { end: false });
}

/** What a master answers once the last process that had the terminal open has gone. */
const isHangUp = (error: unknown) => errnoCodeOf(error) === 'EIO';
