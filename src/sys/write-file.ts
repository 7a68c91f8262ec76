/**
 * Files that are whole or absent: written under a temporary name, then renamed. Apart from `files.ts`, because to load `node:fs/promises`
 * takes the executable 0.3 ms, which no plain task pays.
 */
import { chmod, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { madeFolders, toOwnedName } from './files.ts';

export interface AtomicWriteOptions {
  /** Survives a power cut once the promise resolves: the file and its folder are synced. Only under the root folder. */
  readonly durable: boolean;
}

/**
 * Replaces `path` with `data` in one step, readable by its owner alone. On failure the old file stays and no temporary one is left.
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: AtomicWriteOptions,
): Promise<void> {
  // Should we die over it, others can tell.
  const temporary = `${path}.${toOwnedName()}.tmp`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(data);
      if (options.durable) await file.sync();
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
  if (options.durable) await syncDirectory(dirname(path));
}

/** Makes a file's content survive a power cut. */
export const syncFile = (path: string): Promise<void> => sync(path);

/** Makes the entries of a folder survive a power cut. */
export const syncDirectory = (path: string): Promise<void> => sync(path);

async function sync(path: string): Promise<void> {
  const opened = await open(path, 'r');
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}

/** As `ensureDirectorySync`, on threads of the pool. */
export async function ensureDirectory(path: string, mode: number): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode });
  if (first !== undefined) for (const made of madeFolders(first, path)) await chmod(made, mode);
}
