/**
 * This process's own output, written by descriptor: `process.stdout` costs the executable 6 to 11 ms to set up, which a task
 * that prints nothing need not pay, and neither need one that does.
 */
import { write, writeSync } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import { pause } from '../core/pause.ts';
import type { OutputSink } from '../task/streams/output-sink.ts';

/** A non-blocking descriptor that is full says so at once. */
const FULL_PAUSE_MS = 5;

/** A sink that writes on a thread of the pool. Whoever read it may go, as `head` does: the task runs on, its output is dropped. */
export function descriptorSink(fd: number): OutputSink {
  let gone = false;
  return {
    async write(chunk) {
      for (let done = 0; done < chunk.length && !gone; ) {
        try {
          done += await writeSome(fd, chunk.subarray(done));
        } catch (error) {
          if (errnoCodeOf(error) === 'EPIPE') gone = true;
          else if (errnoCodeOf(error) === 'EAGAIN') await pause(FULL_PAUSE_MS);
          else throw error;
        }
      }
    },
  };
}

/** Resolves to how many bytes it wrote. Not by `promisify`: to load `node:util` takes the executable 1 ms, in every task. */
const writeSome = (fd: number, bytes: Uint8Array) =>
  new Promise<number>((resolve, reject) => {
    write(fd, bytes, (error, written) => (error === null ? resolve(written) : reject(error)));
  });

/** Writes a short message at once; a reader that has gone misses it. */
export function writeMessage(fd: number, text: string): void {
  try {
    writeSync(fd, text);
  } catch (error) {
    if (!['EPIPE', 'EAGAIN'].includes(errnoCodeOf(error) ?? '')) throw error;
  }
}
