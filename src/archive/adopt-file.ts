/** Adopts a file that an unprivileged program wrote, as a copy that the program never had open. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { StackshimError } from '../core/errors.ts';

export interface AdoptedFile {
  /** Hexadecimal sha256 of the content. */
  readonly sha256: string;
  readonly sizeBytes: number;
}

const CHUNK_BYTES = 1 << 20;

/**
 * Copies `source` into a new file `destination`, readable only by its owner, and returns the copy's size and hash. A program that still has
 * `source` open can write to it at any time, even during the copy, but never to the copy. Does not sync; on failure there is no `destination`.
 * Throws ERR_STACKSHIM_SYSTEM if `source` is not a regular file or has more than `maxBytes`.
 */
export async function adoptFile(
  source: string,
  destination: string,
  maxBytes: number,
): Promise<AdoptedFile> {
  const from = await open(source, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stat = await from.stat();
    if (!stat.isFile()) throw toUnfit(source, 'not a regular file');
    if (stat.size > maxBytes) throw toUnfit(source, `${stat.size} bytes, more than ${maxBytes}`);
    // Create a new file: a program may have an old one open.
    await rm(destination, { force: true });
    const to = await open(destination, 'wx', 0o400);
    try {
      return await copy(from, to, stat.size);
    } catch (error) {
      await rm(destination, { force: true });
      throw error;
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

async function copy(from: FileHandle, to: FileHandle, size: number): Promise<AdoptedFile> {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Math.max(1, size)));
  let done = 0;
  while (done < size) {
    const { bytesRead } = await from.read(chunk, 0, Math.min(chunk.length, size - done), done);
    if (bytesRead === 0) break;
    const piece = chunk.subarray(0, bytesRead);
    hash.update(piece);
    await to.writeFile(piece);
    done += bytesRead;
  }
  return { sha256: hash.digest('hex'), sizeBytes: done };
}

const toUnfit = (path: string, reason: string) =>
  new StackshimError('ERR_STACKSHIM_SYSTEM', `take ${path}: ${reason}`);
