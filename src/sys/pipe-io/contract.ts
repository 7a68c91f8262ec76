/** Pipes and terminals without blocking the event loop: the interface of both engines (`node.ts`, `bun.ts`). `#pipe-io` picks one. */
import type { Readable, Writable } from 'node:stream';
import type { Fd } from '../system.ts';

/** Receives a chunk. Nothing more is read while a returned promise is pending. */
export type ChunkListener = (chunk: Uint8Array) => void | Promise<void>;

export interface Drain {
  /** Resolves when every writer has closed its end, or after `finish`. Rejects if reading fails or a listener rejects. */
  readonly ended: Promise<void>;
  /**
   * Call this when the task's last process has ended. Hands over the bytes in the pipe now, however long the listener takes. Then `ended`
   * resolves, even if other processes hold the pipe open; what they write from now on is not read.
   */
  finish(): void;
}

export interface Feed {
  /** Stops writing and leaves the source to its owner. Does nothing on a second call. */
  stop(): void;
}

/** The master of a terminal: the side that types and displays. */
export interface TerminalMaster {
  /** Like {@link PipeIo.drainPipe}; ends when the last process that has the terminal open closes it. */
  drain(onChunk: ChunkListener): Drain;
  /** Types the bytes of `source`, then end-of-file, into the terminal. Errors go to `onError`, except that no process has it open any more. */
  feed(source: Readable, onError: (error: unknown) => void): Feed;
  /** Closes the master. Does nothing on a second call. */
  close(): void;
}

export interface PipeIo {
  /** Hands every chunk to `onChunk`, in order. Owns the descriptor and closes it. */
  drainPipe(fd: Fd, onChunk: ChunkListener): Drain;
  /** Returns a writer into the pipe; a full pipe delays the writer, not the event loop. Owns the descriptor. */
  openSink(fd: Fd): Writable;
  /** The most bytes that such a pipe takes completely or not at all in one write; infinity: each write waits until it is taken. */
  readonly sinkWriteBytes: number;
  /** Loads code that only tasks with a terminal need. The resulting function owns a master's descriptor and closes it. */
  loadTerminal(): Promise<(fd: Fd) => TerminalMaster>;
}
