/** Pipes and terminals of tasks, on either engine, and complete writes to descriptors that may take only a part at a time. */
import { write, writeSync } from 'node:fs';
import { pipeIo } from '#pipe-io';
import { errnoCodeOf } from '../core/errors.ts';
import { pause } from '../core/pause.ts';
import { setNonBlocking } from './linux-streams.ts';
import type { Fd } from './system.ts';

export type { ChunkListener, Drain, Feed, TerminalMaster } from './pipe-io/contract.ts';
export const { drainPipe, openSink, sinkWriteBytes, loadTerminal } = pipeIo;

/** Pauses between writes to a full non-blocking descriptor, which refuses at once. */
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 16;

/**
 * Writes all of `bytes` to a descriptor that may take only a part at a time, on a pool thread. Rejects with EPIPE if the reader is gone, and with
 * the reason of `signal` if it aborts while a non-blocking descriptor is full.
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

/** Resolves to the number of bytes written. Avoids `promisify`: loading `node:util` costs the executable 1 ms in every task. */
const writeSome = (fd: Fd, bytes: Uint8Array) =>
  new Promise<number>((resolve, reject) => {
    write(fd, bytes, (error, written) => (error === null ? resolve(written) : reject(error)));
  });

/** The capacity of an empty pipe: pipe(7), "Pipe capacity". */
const CAPACITY_BYTES = 65_536;
const RETRY_MS = 1;

/**
 * Resolves when the whole text is in the pipe, or the pipe has no reader any more. `fd` is the write end of an empty pipe and stays open. A text
 * that fits is written in one call, before this function returns.
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

/** The number of bytes written; undefined if the pipe has no reader any more. */
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
