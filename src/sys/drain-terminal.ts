/** Reads the master of a terminal to its end. */
import { read } from 'node:fs';
import { promisify } from 'node:util';
import { errnoCodeOf } from '../core/errors.ts';
import type { ChunkListener, Drain } from './pipes.ts';
import type { Fd } from './system.ts';

const readAsync = promisify(read);
const TERMINAL_CHUNK_BYTES = 16_384;

/**
 * Hands every chunk to `onChunk`, in order. The end of a terminal is EIO: the last process that had it open is gone.
 * Occupies a thread of the pool while it waits. The caller closes the descriptor, after `ended`.
 */
export function drainTerminal(fd: Fd, onChunk: ChunkListener): Drain {
  let stopped = false;
  const drain = async () => {
    while (!stopped) {
      const buffer = Buffer.allocUnsafe(TERMINAL_CHUNK_BYTES);
      const { bytesRead } = await readAsync(fd, buffer, 0, buffer.length, null);
      if (bytesRead === 0) return;
      await onChunk(buffer.subarray(0, bytesRead));
    }
  };
  const ended = drain().catch((error: unknown) => {
    if (errnoCodeOf(error) !== 'EIO') throw error;
  });
  return {
    ended,
    stop: () => {
      stopped = true;
    },
  };
}
