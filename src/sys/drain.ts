/** Reads pipes and terminals to their end without blocking the event loop, in both engines. */
import { read } from 'node:fs';
import { Socket } from 'node:net';
import { promisify } from 'node:util';
import { errnoCodeOf } from '../core/errors.ts';
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

const readAsync = promisify(read);
const TERMINAL_CHUNK_BYTES = 16_384;

/**
 * The same for the master of a terminal, whose end is EIO: the last process that had it open is gone.
 * Occupies a thread of the pool while it waits. The caller closes the descriptor, after `ended`.
 */
export function drainTerminal(fd: Fd, onChunk: (chunk: Uint8Array) => void | Promise<void>): Drain {
  let stopped = false;
  const drain = async () => {
    while (!stopped) {
      const buffer = Buffer.allocUnsafe(TERMINAL_CHUNK_BYTES);
      const { bytesRead } = await readAsync(fd, buffer, 0, buffer.length, null);
      if (bytesRead === 0) return;
      await onChunk(buffer.subarray(0, bytesRead));
    }
  };
  const ended = drain().catch((error: unknown) => {
    if (errnoCodeOf(error) !== 'EIO') throw error;
  });
  return {
    ended,
    stop: () => {
      stopped = true;
    },
  };
}
