/** Pipes in the executable: its `net.Socket` delivers nothing for a pipe, its own file streams do. */
import { closeSync, createWriteStream } from 'node:fs';
import { countWaiting } from '../linux-streams.ts';
import type { Fd } from '../system.ts';
import { BunDrain } from './bun-drain.ts';
import type { PipeIo } from './contract.ts';
import { PIPE_LAST_MS } from './reading.ts';

declare const Bun: { file(fd: Fd): { stream(): ReadableStream<Uint8Array> } };

/** The engine reads ahead while nothing is asked of it: two chunks of 256 KiB (measured). */
const READ_AHEAD_BYTES = 524_288;

/** Written on a thread of the pool: one task or program at a time reads from a terminal or a pipe here. */
const openSink = (fd: Fd) => createWriteStream('', { fd });

export const pipeIo: PipeIo = {
  loadTerminal: async () => (await import('./bun-terminal.ts')).openTerminal,
  drainPipe(fd, onChunk) {
    // It reads from a duplicate of its own.
    const reader = Bun.file(fd).stream().getReader();
    return new BunDrain(
      {
        read: async () => (await reader.read()).value,
        countLast: (isReading) => countWaiting(fd) + (isReading ? 0 : READ_AHEAD_BYTES),
        hasMore: () => countWaiting(fd) > 0,
        lastMs: PIPE_LAST_MS,
        isEnd: () => false,
        close() {
          // A read that goes on would keep the process.
          reader.cancel().catch(() => undefined);
          closeSync(fd);
        },
      },
      onChunk,
    );
  },
  openSink,
  sinkWriteBytes: Number.POSITIVE_INFINITY,
};
