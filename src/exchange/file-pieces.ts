/** Reads open files in pieces, and makes files without a name. */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { type Layout, tmpDir } from '../core/layout.ts';
import { temporaryPath } from '../store/stale-files.ts';
import { ensureDirectory } from '../sys/write-file.ts';

const PIECE_BYTES = 256 * 1024;

/** Yields the bytes from `start` to the end of the file, at most `mostBytes`. */
export async function* readPieces(
  file: FileHandle,
  start = 0,
  mostBytes = Number.POSITIVE_INFINITY,
): AsyncGenerator<Buffer> {
  for (let done = 0; done < mostBytes; ) {
    const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, mostBytes - done));
    const { bytesRead } = await file.read(piece, 0, piece.length, start + done);
    if (bytesRead === 0) return;
    done += bytesRead;
    yield piece.subarray(0, bytesRead);
  }
}

/** Yields exactly `size` bytes from `start`. Throws `toCutOff()` if the file ends earlier. */
export async function* readSpan(
  file: FileHandle,
  { start, size }: { readonly start: number; readonly size: number },
  toCutOff: () => Error,
): AsyncGenerator<Buffer> {
  let left = size;
  for await (const piece of readPieces(file, start, size)) {
    left -= piece.length;
    yield piece;
  }
  if (left > 0) throw toCutOff();
}

/** Makes an unnamed file below `tmp/` that only root can read. The caller closes it; the kernel frees it however this process ends. */
export async function openNameless(layout: Layout): Promise<FileHandle> {
  await ensureDirectory(tmpDir(layout), 0o700);
  const temporary = temporaryPath(layout, '.tar');
  const file = await open(temporary, 'wx+', 0o600);
  try {
    await unlink(temporary);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}
