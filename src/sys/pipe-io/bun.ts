/** Pipes in the executable: its `net.Socket` delivers nothing for a pipe, its own file streams do. */
import { closeSync, createWriteStream } from 'node:fs';
import type { Fd } from '../system.ts';
import { openTerminal } from './bun-terminal.ts';
import type { PipeIo } from './contract.ts';
import { isClosedPipe } from './is-closed-pipe.ts';

declare const Bun: { file(fd: Fd): { stream(): ReadableStream<Uint8Array> } };

export const pipeIo: PipeIo = {
  openTerminal,
  drainPipe(fd, onChunk) {
    const stopper = new AbortController();
    const stopped = new Promise<void>((resolve) => {
      stopper.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    const reader = Bun.file(fd).stream().getReader();
    // It reads from a duplicate of its own.
    closeSync(fd);
    const read = async () => {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        await onChunk(next.value);
      }
    };
    const stop = () => {
      stopper.abort();
      // A read that goes on would keep the process.
      reader.cancel().catch(() => undefined);
    };
    return { ended: Promise.race([read(), stopped]), stop };
  },
  feedPipe(fd, source, onError) {
    // Written on a thread of the pool: one task at a time reads from a terminal or a pipe here.
    const sink = createWriteStream('', { fd });
    // Not `pipeline`: the stream library costs a millisecond that most tasks, which read nothing, need not pay.
    sink.on('error', (error) => {
      if (!isClosedPipe(error)) onError(error);
    });
    source.once('error', onError).pipe(sink);
    return { stop: () => sink.destroy() };
  },
};
