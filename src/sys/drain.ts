/** Reads a pipe to its end without blocking the event loop, in both engines. */
import { Socket } from 'node:net';
import type { Fd } from './system.ts';

interface BunFiles {
  file(fd: Fd): { stream(): AsyncIterable<Uint8Array> };
}

/** Present in the executable only. Its `net.Socket` delivers nothing for a pipe; its own file streams do. */
const bun = (globalThis as { readonly Bun?: BunFiles }).Bun;

export interface Drain {
  /** Resolves when every writer has closed its end, or after `stop`. */
  readonly ended: Promise<void>;
  /** Gives up reading: for a writer that outlives the task. */
  stop(): void;
}

/**
 * Hands every chunk to `onChunk`, in order; a promise it returns is awaited before the next chunk is read.
 * Takes the descriptor over and closes it.
 */
export function drainPipe(fd: Fd, onChunk: (chunk: Uint8Array) => void | Promise<void>): Drain {
  return bun === undefined ? drainSocket(fd, onChunk) : drainFile(bun, fd, onChunk);
}

function drainSocket(fd: Fd, onChunk: (chunk: Uint8Array) => void | Promise<void>): Drain {
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
}

function drainFile(
  files: BunFiles,
  fd: Fd,
  onChunk: (chunk: Uint8Array) => void | Promise<void>,
): Drain {
  const stopper = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    stopper.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const read = async () => {
    for await (const chunk of files.file(fd).stream()) await onChunk(chunk);
  };
  return { ended: Promise.race([read(), stopped]), stop: () => stopper.abort() };
}
