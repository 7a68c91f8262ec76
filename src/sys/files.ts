/** Files that are complete or absent: written under a temporary name, then renamed. */
import { chmodSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { chmod, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { unlessMissing } from '../core/errors.ts';
import { toOwnedName } from './owned-name.ts';

export interface AtomicWriteOptions {
  /** Syncs the file and its folder, so that the file survives a power cut once the promise resolves. Use it only under the root folder. */
  readonly durable: boolean;
}

/** Replaces `path` with `data` in one step, readable only by its owner. On failure the old file stays and no temporary file is left. */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: AtomicWriteOptions,
): Promise<void> {
  // The temporary name names its owner: if this process dies, others can remove the file.
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

/** Makes a folder and its missing parents; an existing one keeps its mode. */
export async function ensureDirectory(path: string, mode: number): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode });
  if (first !== undefined) for (const made of madeFolders(first, path)) await chmod(made, mode);
}

/** Like {@link ensureDirectory}, but synchronous: on the task path a trip to the thread pool costs more than the call. */
export function ensureDirectorySync(path: string, mode: number): void {
  const first = mkdirSync(path, { recursive: true, mode });
  if (first !== undefined) for (const made of madeFolders(first, path)) chmodSync(made, mode);
}

/** The new folders, whose mode the umask may have narrowed: the root of a task has no rights on the host and could not pass through them. */
function madeFolders(first: string, last: string): readonly string[] {
  const made: string[] = [];
  for (let at = last; at.length >= first.length && at !== dirname(at); at = dirname(at))
    made.push(at);
  return made;
}

/** The nearest existing folder: `path` itself, or the folder above it in which it would be made. */
export function nearestExisting(path: string): string {
  let folder = path;
  while (folder !== dirname(folder) && statSync(folder, { throwIfNoEntry: false }) === undefined) {
    folder = dirname(folder);
  }
  return folder;
}

/** 16 random hex digits. */
export function randomName(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex');
}

/** The names in a folder; empty if the folder does not exist. */
export const namesIn = (folder: string): readonly string[] =>
  unlessMissing(() => readdirSync(folder)) ?? [];
