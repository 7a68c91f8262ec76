/** Files that are whole or absent: written under a temporary name, then renamed. */
import { chmodSync, mkdirSync, readdirSync, statfsSync, statSync } from 'node:fs';
import { chmod, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { unlessMissing } from '../core/errors.ts';
import { toOwnedName } from './owned-name.ts';

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

/** Makes a folder and its parents where missing; an existing one keeps its mode. */
export async function ensureDirectory(path: string, mode: number): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode });
  if (first !== undefined) for (const made of madeFolders(first, path)) await chmod(made, mode);
}

/** The same, at once: for the task path, where a thread-pool trip costs more than the call. */
export function ensureDirectorySync(path: string, mode: number): void {
  const first = mkdirSync(path, { recursive: true, mode });
  if (first !== undefined) for (const made of madeFolders(first, path)) chmodSync(made, mode);
}

/** Whose mode the umask may have narrowed: a task's root, nobody on the host, could not pass through. */
function madeFolders(first: string, last: string): readonly string[] {
  const made: string[] = [];
  for (let at = last; at.length >= first.length && at !== dirname(at); at = dirname(at))
    made.push(at);
  return made;
}

/** The folder itself, or the nearest one above it that exists: where it would be made. */
export function nearestExisting(path: string): string {
  let folder = path;
  while (folder !== dirname(folder) && statSync(folder, { throwIfNoEntry: false }) === undefined) {
    folder = dirname(folder);
  }
  return folder;
}

/** Bytes that may still be written on the filesystem of `path`. */
export function freeBytesAt(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** 16 random hex digits. */
export function randomName(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex');
}

/** The names in a folder; none where there is no such folder. */
export const namesIn = (folder: string): readonly string[] =>
  unlessMissing(() => readdirSync(folder)) ?? [];
