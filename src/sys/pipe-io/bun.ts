/** Pipes in the executable. Bun's `net.Socket` delivers nothing for a pipe, so its file streams are used. */
import { closeSync, createWriteStream } from 'node:fs';
import { countWaiting } from '../linux-streams.ts';
import type { Fd } from '../system.ts';
import { BunDrain } from './bun-drain.ts';
import { openTerminal } from './bun-terminal.ts';
import type { PipeIo } from './contract.ts';
import { feedSink } from './feed-sink.ts';
import { PIPE_LAST_MS } from './last-bytes.ts';

declare const Bun: { file(fd: Fd): { stream(): ReadableStream<Uint8Array> } };

/** How much the engine reads ahead without being asked: two chunks of 256 KiB (measured). */
const READ_AHEAD_BYTES = 524_288;

/** Writes on a thread of the pool. That is acceptable because the executable feeds only one task or program at a time. */
const openSink = (fd: Fd) => createWriteStream('', { fd });

export const pipeIo: PipeIo = {
  openTerminal,
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
  feedPipe: (fd, source, onError) =>
    feedSink(openSink(fd), source, { maxBytes: Number.POSITIVE_INFINITY, onError }),
};
