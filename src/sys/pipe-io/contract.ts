/** Pipes and terminals without blocking the event loop, as both engines (`node.ts`, `bun.ts`) implement them. `#pipe-io` picks one. */
import type { Readable, Writable } from 'node:stream';
import type { Fd } from '../system.ts';

/** Receives a chunk. While a returned promise is pending, nothing more is read. */
export type ChunkListener = (chunk: Uint8Array) => void | Promise<void>;

export interface Drain {
  /** Resolves when every writer has closed its end, or as `finish` describes. Rejects when reading fails or a listener rejects. */
  readonly ended: Promise<void>;
  /**
   * Call it when the task's last process has ended. The bytes that are in the pipe now are handed over, however long the listener takes.
   * Then `ended` resolves, even if other processes hold the pipe open; what they write from now on is not read.
   */
  finish(): void;
}

export interface Feed {
  /** Stops writing and leaves the source to its owner. A second call does nothing. */
  stop(): void;
}

/** The master of a terminal: the side that types and displays. */
export interface TerminalMaster {
  /** Like {@link PipeIo.drainPipe}; it ends when the last process that has the terminal open closes it. */
  drain(onChunk: ChunkListener): Drain;
  /**
   * Types the bytes of `source` into the terminal, and the end-of-file character at the end of `source`. A terminal that no process has open
   * any more is not an error; any other error goes to `onError`.
   */
  feed(source: Readable, onError: (error: unknown) => void): Feed;
  /** Closes the master. A second call does nothing. */
  close(): void;
}

export interface PipeIo {
  /** Hands every chunk to `onChunk`, in order. Takes ownership of the descriptor and closes it. */
  drainPipe(fd: Fd, onChunk: ChunkListener): Drain;
  /** Returns a writer into the pipe; a full pipe delays the writer, not the event loop. Takes ownership of the descriptor. */
  openSink(fd: Fd): Writable;
  /** The most bytes of one write into such a pipe that the pipe takes completely or not at all; infinity: each write waits until it is taken. */
  readonly sinkWriteBytes: number;
  /** Loads what only tasks with a terminal need. The resulting function takes over a master's descriptor and closes it. */
  loadTerminal(): Promise<(fd: Fd) => TerminalMaster>;
}
