/**
 * Writes files that are complete or absent: under a temporary name, then renamed. A separate file, because a plain task avoids loading
 * `node:fs/promises`, which takes the executable 0.3 ms.
 */
import { chmod, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { madeFolders, toOwnedName } from './files.ts';

/**
 * Atomically replaces `path` with `data`, readable only by its owner. On failure the old file stays and no temporary file is left. `durable`
 * syncs the file and its folder, so that the file survives a power cut once the promise resolves: only for the root folder.
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  { durable }: { readonly durable: boolean },
): Promise<void> {
  // The temporary name identifies its owner: if this process dies, others can remove the file.
  const temporary = `${path}.${toOwnedName()}.tmp`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(data);
      if (durable) await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch((unlinkError: NodeJS.ErrnoException) => {
      if (unlinkError.code !== 'ENOENT')
        throw new AggregateError([error, unlinkError], `write ${path}`);
    });
    throw error;
  }
  if (durable) await syncDirectory(dirname(path));
}

/** Makes a file's content survive a power cut. */
export async function syncFile(path: string): Promise<void> {
  const opened = await open(path, 'r');
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}

/** Makes a folder's entries survive a power cut. */
export const syncDirectory = (path: string): Promise<void> => syncFile(path);

/** Like `ensureDirectorySync`, on pool threads. */
export async function ensureDirectory(path: string, mode: number): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode });
  if (first !== undefined) for (const made of madeFolders(first, path)) await chmod(made, mode);
}
