/** Pipes and terminals without blocking the event loop, as both engines (`node.ts`, `bun.ts`) offer it. `#pipe-io` picks one. */
import type { Readable, Writable } from 'node:stream';
import type { Fd } from '../system.ts';

/** A promise asks the reader to wait before it reads on. */
export type ChunkListener = (chunk: Uint8Array) => void | Promise<void>;

export interface Drain {
  /** Resolves when every writer has closed its end, or as `finish` says. Rejects when reading fails or a listener rejects. */
  readonly ended: Promise<void>;
  /**
   * Call it when the task's last process has ended. The bytes that are in the pipe now are handed over, however long the listener takes;
   * then `ended` resolves, even if other processes hold the pipe open, and without what they write from here on.
   */
  finish(): void;
}

export interface Feed {
  /** Writes no more, and leaves the source to its owner. A second call does nothing. */
  stop(): void;
}

/** The master of a terminal: the side that types and sees. */
export interface TerminalMaster {
  /** As {@link PipeIo.drainPipe}; the end is that of the last process that has the terminal open. */
  drain(onChunk: ChunkListener): Drain;
  /**
   * Types what `source` gives into the terminal, and its end-of-file character at the end of `source`. A terminal that
   * nobody has open any more is no error; anything else is handed to `onError`.
   */
  feed(source: Readable, onError: (error: unknown) => void): Feed;
  /** A second call does nothing. */
  close(): void;
}

export interface PipeIo {
  /** Hands every chunk to `onChunk`, in order. Takes the descriptor over and closes it. */
  drainPipe(fd: Fd, onChunk: ChunkListener): Drain;
  /** Writes into the pipe; a full pipe holds up the writer, not the event loop. Takes the descriptor over. */
  openSink(fd: Fd): Writable;
  /** The most bytes of one write into such a pipe that is taken whole or not at all; infinity: any write waits until it is taken. */
  readonly sinkWriteBytes: number;
  /** Loads what only tasks with a terminal need: a function that takes the descriptor of a master over and closes it. */
  loadTerminal(): Promise<(fd: Fd) => TerminalMaster>;
}
