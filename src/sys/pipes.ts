/** Pipes and terminals of tasks, in whichever engine this is; and descriptors that may take a part of what is written at a time. */
import { write, writeSync } from 'node:fs';
import { pipeIo } from '#pipe-io';
import { errnoCodeOf } from '../core/errors.ts';
import { pause } from '../core/pause.ts';
import { setNonBlocking } from './linux-streams.ts';
import type { Fd } from './system.ts';

export type { ChunkListener, Drain, Feed, TerminalMaster } from './pipe-io/contract.ts';
export const { drainPipe, openSink, sinkWriteBytes, loadTerminal } = pipeIo;

/** A non-blocking descriptor that is full says so at once. */
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 16;

/**
 * Resolves when the descriptor has taken everything; rejects with EPIPE when its reader has gone, and when `signal` says so while a
 * non-blocking one is full. Writes on a thread of the pool.
 */
export async function writeFully(fd: Fd, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS;
  for (let done = 0; done < bytes.length; ) {
    signal?.throwIfAborted();
    try {
      done += await writeSome(fd, bytes.subarray(done));
      pauseMs = FIRST_PAUSE_MS;
    } catch (error) {
      if (errnoCodeOf(error) !== 'EAGAIN') throw error;
      await pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }
}

/** Resolves to how many bytes it wrote. Not by `promisify`: to load `node:util` takes the executable 1 ms, in every task. */
const writeSome = (fd: Fd, bytes: Uint8Array) =>
  new Promise<number>((resolve, reject) => {
    write(fd, bytes, (error, written) => (error === null ? resolve(written) : reject(error)));
  });

/** What an empty pipe takes at once: pipe(7), "Pipe capacity". */
const CAPACITY_BYTES = 65_536;
const RETRY_MS = 1;

/**
 * Resolves when the whole text is in the pipe, or nobody can read it any more. `fd`: the write end, of an empty pipe; stays open.
 * One call, before this function returns, for what an empty pipe takes at once.
 */
export async function fillPipe(fd: Fd, text: string): Promise<void> {
  let rest: Uint8Array = Buffer.from(text);
  if (rest.length > CAPACITY_BYTES) setNonBlocking(fd);
  while (rest.length > 0) {
    const written = tryWrite(fd, rest);
    if (written === undefined) return;
    rest = rest.subarray(written);
    if (rest.length > 0) await pause(RETRY_MS);
  }
}

/** How many bytes went in; undefined when every reader is gone. */
function tryWrite(fd: Fd, bytes: Uint8Array): number | undefined {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    const code = errnoCodeOf(error);
    if (code === 'EAGAIN') return 0;
    if (code === 'EPIPE') return undefined;
    throw error;
  }
}
