/** The master of a terminal on Node: libuv polls it for reading; writing tries again while the terminal is full. */
import { readSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { ReadStream } from 'node:tty';
import { errnoCodeOf } from '../../core/errors.ts';
import { setNonBlocking } from '../linux-streams.ts';
import type { Fd } from '../system.ts';
import type { TerminalMaster } from './contract.ts';
import { isHangUp, typeInto } from './type-into.ts';

/** How soon a full terminal is tried again: its task is not reading what was typed. */
const RETRY_MS = 10;
const CHUNK_BYTES = 16_384;

export function openTerminal(fd: Fd): TerminalMaster {
  const stream = new ReadStream(fd);
  // libuv makes every terminal but a master non-blocking; a blocking one can stop the event loop.
  setNonBlocking(fd);
  return {
    drain(onChunk) {
      let rest: void | Promise<void>;
      const ended = new Promise<void>((resolve, reject) => {
        stream.on('data', (chunk: Uint8Array) => {
          const pending = onChunk(chunk);
          if (pending === undefined) return;
          stream.pause();
          pending.then(() => stream.resume(), reject);
        });
        // libuv calls it the end as soon as the other side is closed, though there may be more to read.
        stream.once('end', () => {
          const chunk = readRest(fd);
          if (chunk.length > 0) rest = onChunk(chunk);
        });
        stream.once('close', () => resolve(rest));
        stream.once('error', (error) => (isHangUp(error) ? resolve(rest) : reject(error)));
      });
      return { ended, stop: () => stream.destroy() };
    },
    // Not into the stream: libuv's writes to a master block.
    feed: (source, onError) => typeInto(toKeyboard(fd, stream), source, onError),
    close: () => void stream.destroy(),
  };
}

/** What a closed terminal still holds. */
function readRest(fd: Fd): Buffer {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    try {
      const length = readSync(fd, chunk);
      if (length === 0) return Buffer.concat(chunks);
      chunks.push(chunk.subarray(0, length));
    } catch (error) {
      if (!isHangUp(error) && errnoCodeOf(error) !== 'EAGAIN') throw error;
      return Buffer.concat(chunks);
    }
  }
}

function toKeyboard(fd: Fd, master: ReadStream): Writable {
  const writeSome = (rest: Uint8Array, done: (error?: Error | null) => void): void => {
    // The descriptor may be another file's by now.
    if (master.destroyed) {
      done();
      return;
    }
    try {
      const written = writeSync(fd, rest);
      if (written === rest.length) done();
      else writeSome(rest.subarray(written), done);
    } catch (error) {
      if (errnoCodeOf(error) === 'EAGAIN') setTimeout(() => writeSome(rest, done), RETRY_MS);
      else done(error as Error);
    }
  };
  return new Writable({ write: (chunk: Uint8Array, _, done) => writeSome(chunk, done) });
}
