/** The master of a terminal in the executable, which has no stream that polls one: a thread of the pool waits in each read. */
import { createWriteStream, read } from 'node:fs';
import type { Fd } from '../system.ts';
import type { ChunkListener, TerminalMaster } from './contract.ts';
import { isHangUp, typeInto } from './type-into.ts';

const CHUNK_BYTES = 16_384;

export function openTerminal(fd: Fd): TerminalMaster {
  const sink = createWriteStream('', { fd });
  let stopped = false;
  const readAll = async (onChunk: ChunkListener) => {
    while (!stopped) {
      const chunk = await readSome(fd);
      if (chunk.length === 0) return;
      await onChunk(chunk);
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

function readSome(fd: Fd): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  return new Promise((resolve, reject) => {
    read(fd, buffer, 0, buffer.length, null, (error, bytesRead) => {
      if (error) reject(error);
      else resolve(buffer.subarray(0, bytesRead));
    });
  });
}
