import { write } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import { pause } from '../core/pause.ts';
import type { Fd } from './system.ts';

/** Pauses between tries to write to a full non-blocking descriptor, which refuses at once. */
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 16;

/**
 * Writes all of `bytes` to a descriptor that may take a part at a time. Rejects with EPIPE when the reader has gone, and with the reason of
 * `signal` if it aborts while a non-blocking descriptor is full. Writes on a thread of the pool.
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

/** Resolves to the number of bytes written. Does not use `promisify`, because loading `node:util` costs the executable 1 ms in every task. */
const writeSome = (fd: Fd, bytes: Uint8Array) =>
  new Promise<number>((resolve, reject) => {
    write(fd, bytes, (error, written) => (error === null ? resolve(written) : reject(error)));
  });
