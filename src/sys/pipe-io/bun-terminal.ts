/** The master of a terminal in the executable. Bun has no stream that polls a terminal, so a pool thread waits in each read. */
import { createWriteStream, read } from 'node:fs';
import { givesBytes } from '../linux-streams.ts';
import type { Fd } from '../system.ts';
import { BunDrain } from './bun-drain.ts';
import type { TerminalMaster } from './contract.ts';
import { isHangUp, typeInto } from './feed-from.ts';
import { TERMINAL_LAST_BYTES, TERMINAL_LAST_MS } from './reading.ts';

const CHUNK_BYTES = 16_384;

export function openTerminal(fd: Fd): TerminalMaster {
  const sink = createWriteStream('', { fd });
  return {
    drain: (onChunk) =>
      new BunDrain(
        {
          // A read that waits because other processes hold the terminal open ends with this process.
          read: () => readSome(fd),
          countLast: () => TERMINAL_LAST_BYTES,
          // The read's thread may be late.
          hasMore: () => givesBytes(fd),
          lastMs: TERMINAL_LAST_MS,
          isEnd: isHangUp,
          close: () => undefined,
        },
        onChunk,
      ),
    feed: (source, onError) => typeInto(sink, source, onError),
    close: () => void sink.destroy(),
  };
}

function readSome(fd: Fd): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  return new Promise((resolve, reject) => {
    read(fd, buffer, 0, buffer.length, null, (error, bytesRead) => {
      if (error) reject(error);
      else resolve(buffer.subarray(0, bytesRead));
    });
  });
}
