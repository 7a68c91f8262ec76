/** Pipes on Node: libuv polls them behind a socket. */
import { Socket } from 'node:net';
import { pipeline } from 'node:stream';
import type { PipeIo } from './contract.ts';
import { isClosedPipe } from './is-closed-pipe.ts';
import { openTerminal } from './node-terminal.ts';

export const pipeIo: PipeIo = {
  openTerminal,
  drainPipe(fd, onChunk) {
    const socket = new Socket({ fd, readable: true, writable: false });
    const ended = new Promise<void>((resolve, reject) => {
      socket.on('data', (chunk: Uint8Array) => {
        const pending = onChunk(chunk);
        if (pending === undefined) return;
        socket.pause();
        pending.then(() => socket.resume(), reject);
      });
      socket.once('close', () => resolve());
      socket.once('error', reject);
    });
    return { ended, stop: () => socket.destroy() };
  },
  feedPipe(fd, source, onError) {
    const sink = new Socket({ fd, readable: false, writable: true });
    pipeline(source, sink, (error) => {
      if (error && !isClosedPipe(error)) onError(error);
    });
    return { stop: () => sink.destroy() };
  },
};
