/** Writes to descriptors that may take a part at a time. */
import { write } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import { pause } from '../core/pause.ts';
import type { Fd } from './system.ts';

/** A non-blocking descriptor that is full says so at once. */
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 16;

/**
 * Resolves when the descriptor has taken everything; rejects with EPIPE when its reader has gone, and when `signal` says so while a
 * non-blocking one is full. Writes on a thread of the pool.
 */
export async function writeFully(fd: Fd, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS;
  for (let done = 0; done < bytes.length; ) {
    signal?.throwIfAborted();
    try {
      done += await writeSome(fd, bytes.subarray(done));
      pauseMs = FIRST_PAUSE_MS;
    } catch (error) {
      if (errnoCodeOf(error) !== 'EAGAIN') throw error;
      await pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }
}

/** Resolves to how many bytes it wrote. Not by `promisify`: to load `node:util` takes the executable 1 ms, in every task. */
const writeSome = (fd: Fd, bytes: Uint8Array) =>
  new Promise<number>((resolve, reject) => {
    write(fd, bytes, (error, written) => (error === null ? resolve(written) : reject(error)));
  });
