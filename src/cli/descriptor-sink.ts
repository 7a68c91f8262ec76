/**
 * This process's own output, written by descriptor: `process.stdout` costs the executable 6 to 11 ms to set up, which a task
 * that prints nothing need not pay, and neither need one that does. It also tells nobody of output that was lost.
 */
import { write, writeSync } from 'node:fs';
import { errnoCodeOf, reasonOf, StackshimError } from '../core/errors.ts';
import { pause } from '../core/pause.ts';
import type { OutputSink } from '../task/streams/output-sink.ts';

/** A non-blocking descriptor that is full says so at once. */
const FULL_PAUSE_MS = 5;
const NAMES = ['standard input', 'standard output', 'standard error'];

/**
 * A sink that writes on a thread of the pool. Its reader may go, as `head` does: then `onGone` is called once, and what comes later is
 * dropped. Whatever else keeps it from writing is thrown as one error that names the descriptor.
 */
export function descriptorSink(fd: number, onGone: () => void = () => undefined): OutputSink {
  let gone = false;
  return {
    async write(chunk) {
      for (let done = 0; done < chunk.length && !gone; ) {
        try {
          done += await writeSome(fd, chunk.subarray(done));
        } catch (error) {
          if (errnoCodeOf(error) === 'EAGAIN') await pause(FULL_PAUSE_MS);
          else if (errnoCodeOf(error) !== 'EPIPE') throw toLostOutput(nameOf(fd), error);
          else if (!gone) {
            gone = true;
            onGone();
          }
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

const nameOf = (fd: number) => NAMES[fd] ?? `descriptor ${fd}`;

/** @param where `standard output`, or a file's path. */
export function toLostOutput(where: string, error: unknown): StackshimError {
  const isFull = ['ENOSPC', 'EDQUOT'].includes(errnoCodeOf(error) ?? '');
  const message = `write ${where}: ${reasonOf(error)}`;
  return new StackshimError(isFull ? 'ERR_STACKSHIM_DISK_FULL' : 'ERR_STACKSHIM_SYSTEM', message, {
    cause: error,
    hint: 'what could not be written is lost; send the output where there is room for it',
  });
}

/** Writes a message at once. It is for people, and where standard error does not take it there is nobody left to tell. */
export function writeMessage(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // The exit status says the rest.
  }
}
