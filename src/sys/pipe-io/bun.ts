/** Pipes in the executable. They use Bun's file streams, because Bun's `net.Socket` delivers nothing for a pipe. */
import { closeSync, createWriteStream } from 'node:fs';
import { countWaiting } from '../linux-streams.ts';
import type { Fd } from '../system.ts';
import { BunDrain } from './bun-drain.ts';
import type { PipeIo } from './contract.ts';
import { PIPE_LAST_MS } from './reading.ts';

declare const Bun: { file(fd: Fd): { stream(): ReadableStream<Uint8Array> } };

/** How much the engine reads ahead unasked: two chunks of 256 KiB (measured). */
const READ_AHEAD_BYTES = 524_288;

/** Writes on a pool thread: acceptable, because the executable feeds only one task or program at a time. */
const openSink = (fd: Fd) => createWriteStream('', { fd });

export const pipeIo: PipeIo = {
  loadTerminal: async () => (await import('./bun-terminal.ts')).openTerminal,
  drainPipe(fd, onChunk) {
    // The stream reads from its own duplicate of the descriptor.
    const reader = Bun.file(fd).stream().getReader();
    return new BunDrain(
      {
        read: async () => (await reader.read()).value,
        countLast: (isReading) => countWaiting(fd) + (isReading ? 0 : READ_AHEAD_BYTES),
        hasMore: () => countWaiting(fd) > 0,
        lastMs: PIPE_LAST_MS,
        isEnd: () => false,
        close() {
          // A read that goes on would keep the process alive.
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
