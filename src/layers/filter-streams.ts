/** The two ends of a program that filters bytes: waits until it accepts more input, and keeps the beginning of its error output. */
import type { Readable, Writable } from 'node:stream';

const MAX_STDERR_BYTES = 16 * 1024;

/** Resolves when `stdin` accepts more, or never will again. */
export function untilWritable(stdin: Writable): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      stdin.off('drain', settle);
      stdin.off('close', settle);
      resolve();
    };
    stdin.on('drain', settle);
    stdin.on('close', settle);
    if (stdin.destroyed) settle();
  });
}

/** Reads a program's error stream to its end; the returned function returns the first 16 KiB read so far. */
export function keepComplaints(stderr: Readable): () => string {
  const pieces: Buffer[] = [];
  let keptBytes = 0;
  stderr.on('data', (chunk: Buffer) => {
    const piece = chunk.subarray(0, MAX_STDERR_BYTES - keptBytes);
    keptBytes += piece.length;
    pieces.push(piece);
  });
  return () => Buffer.concat(pieces).toString('utf8').trim();
}
