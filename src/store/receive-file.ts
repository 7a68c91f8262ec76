/** Writes a stream into a file below `tmp/`, for code that reads the data more than once. */
import { open, rm } from 'node:fs/promises';
import { type Layout, tmpDir } from '../core/layout.ts';
import { unlessAborted } from '../core/unless-aborted.ts';
import { guardDisk } from '../sys/guard-disk.ts';
import { ensureDirectory } from '../sys/write-file.ts';
import { temporaryPath } from './stale-files.ts';

export interface ReceiveFileOptions {
  readonly maxBytes: number;
  /** Makes the error for a stream longer than `maxBytes`. */
  readonly toTooLarge: () => Error;
  /** Each signal ends the wait for the stream. */
  readonly signals: readonly AbortSignal[];
}

/**
 * Returns the path of the file, which only root can read. The caller removes it; once this process is dead, others do. On failure no file is left.
 * Throws `toTooLarge()`, the errors of the stream, the reason of an abort, ERR_STACKSHIM_DISK_FULL.
 */
export async function receiveFile(
  layout: Layout,
  input: AsyncIterable<Uint8Array>,
  { maxBytes, toTooLarge, signals }: ReceiveFileOptions,
): Promise<string> {
  const path = temporaryPath(layout, '.received');
  let isComplete = false;
  try {
    await guardDisk(`write ${path}`, () => ensureDirectory(tmpDir(layout), 0o700));
    const file = await guardDisk(`write ${path}`, () => open(path, 'wx', 0o600));
    try {
      let bytes = 0;
      for await (const chunk of untilAborted(input, signals)) {
        bytes += chunk.length;
        if (bytes > maxBytes) throw toTooLarge();
        await guardDisk(`write ${path}`, () => file.writeFile(chunk));
      }
    } finally {
      await file.close();
    }
    isComplete = true;
    return path;
  } finally {
    if (!isComplete) await rm(path, { force: true });
  }
}

/** Ends at an abort even if the stream sends nothing. */
async function* untilAborted(
  input: AsyncIterable<Uint8Array>,
  signals: readonly AbortSignal[],
): AsyncGenerator<Uint8Array> {
  const chunks = input[Symbol.asyncIterator]();
  let isDone = false;
  try {
    for (;;) {
      const next = await unlessAborted(chunks.next(), signals);
      isDone = next.done === true;
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // Not awaited: a stream that sends nothing may never end.
    if (!isDone) void chunks.return?.()?.catch(() => undefined);
  }
}
