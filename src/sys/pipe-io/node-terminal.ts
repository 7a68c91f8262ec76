/** The master of a terminal on Node. libuv polls it for reading; a write to a full terminal is retried. */
import { readSync, writeSync } from 'node:fs';
import type { ConnectOpts, OnReadOpts, SocketConstructorOpts } from 'node:net';
import { Writable } from 'node:stream';
import { ReadStream } from 'node:tty';
import { errnoCodeOf } from '../../core/errors.ts';
import { setNonBlocking } from '../linux-streams.ts';
import type { Fd } from '../system.ts';
import type { TerminalMaster } from './contract.ts';
import { isHangUp, typeInto } from './feed-from.ts';
import { type DrainSource, SocketDrain } from './node-drain.ts';
import { TERMINAL_LAST_BYTES, TERMINAL_LAST_MS } from './reading.ts';

/** Pause before the next write to a full terminal, whose task is not reading. */
const RETRY_MS = 10;
const CHUNK_BYTES = 16_384;

export function openTerminal(fd: Fd): TerminalMaster {
  // libuv makes every terminal but a master non-blocking; a blocking master can stop the event loop.
  setNonBlocking(fd);
  let stream: ReadStream | undefined;
  const open = (onread?: OnReadOpts) => {
    const options: SocketConstructorOpts & ConnectOpts = onread === undefined ? {} : { onread };
    stream ??= new ReadStream(fd, options);
    return stream;
  };
  return {
    drain(onChunk) {
      const drain = new SocketDrain({ ...terminalSource(fd), open }, onChunk);
      drain.socket.resume();
      return drain;
    },
    // Does not write into the stream: libuv's writes to a master block.
    feed: (source, onError) => typeInto(toKeyboard(fd, open()), source, onError),
    close: () => void open().destroy(),
  };
}

const terminalSource = (fd: Fd): Omit<DrainSource, 'open'> => ({
  // libuv reports the end as soon as the other side closes, although there may be more to read.
  readRest: () => readRest(fd),
  countLast: () => TERMINAL_LAST_BYTES,
  hasMore: () => false,
  lastMs: TERMINAL_LAST_MS,
  isEnd: isHangUp,
});

/** Reads what a closed terminal still holds. */
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
    // The descriptor may belong to another file by now.
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
