/** Writes a text into a pipe whose reader may be slow or gone. */
import { writeSync } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import { pause } from '../core/pause.ts';
import { setNonBlocking } from './linux-streams.ts';
import type { Fd } from './system.ts';

/** What an empty pipe takes at once: pipe(7), "Pipe capacity". */
const CAPACITY_BYTES = 65_536;
const RETRY_MS = 1;

/**
 * Resolves when the whole text is in the pipe, or when the pipe has no reader any more. `fd` is the write end of an empty pipe and stays
 * open. A text that fits into an empty pipe is written in one call, before this function returns.
 */
export async function fillPipe(fd: Fd, text: string): Promise<void> {
  let rest: Uint8Array = Buffer.from(text);
  if (rest.length > CAPACITY_BYTES) setNonBlocking(fd);
  while (rest.length > 0) {
    const written = writeSome(fd, rest);
    if (written === undefined) return;
    rest = rest.subarray(written);
    if (rest.length > 0) await pause(RETRY_MS);
  }
}

/** Returns how many bytes were written; undefined when the pipe has no reader any more. */
function writeSome(fd: Fd, bytes: Uint8Array): number | undefined {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    const code = errnoCodeOf(error);
    if (code === 'EAGAIN') return 0;
    if (code === 'EPIPE') return undefined;
    throw error;
  }
}
