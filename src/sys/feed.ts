/** Writes a stream into a pipe without blocking the event loop, in both engines. */
import { createWriteStream } from 'node:fs';
import { Socket } from 'node:net';
import { pipeline, type Readable } from 'node:stream';
import { errnoCodeOf } from '../core/errors.ts';
import type { Fd } from './system.ts';

export interface Feed {
  /** Closes the pipe, whatever has not been written yet. */
  stop(): void;
}

/**
 * Copies `source` into the pipe and closes it at the end of `source`. Takes the descriptor over.
 * A reader that has closed its end is no error; anything else is handed to `onError`.
 */
export function feedPipe(fd: Fd, source: Readable, onError: (error: unknown) => void): Feed {
  // The executable's `net.Socket` does not take a pipe; there its file streams write on a pool thread.
  const sink =
    'Bun' in globalThis
      ? createWriteStream('', { fd })
      : new Socket({ fd, readable: false, writable: true });
  pipeline(source, sink, (error) => {
    const code = errnoCodeOf(error);
    if (error && code !== 'EPIPE' && code !== 'ERR_STREAM_PREMATURE_CLOSE') onError(error);
  });
  return { stop: () => sink.destroy() };
}
