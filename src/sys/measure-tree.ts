/** What a folder takes on disk. */
import type { Stats } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { errnoCodeOf } from '../core/errors.ts';

/** stat(2) counts blocks of this size, whatever the filesystem's. */
const BLOCK_BYTES = 512;

/**
 * Bytes that `path` and all below it take on disk; a file with several names counts once. What goes away meanwhile counts
 * as not there: 0 for a path that does not exist.
 */
export async function measureTree(path: string): Promise<number> {
  const seen = new Set<string>();
  let bytes = 0;
  for await (const stat of walk(path)) {
    const key = `${stat.dev}:${stat.ino}`;
    if (stat.nlink > 1 && !stat.isDirectory()) {
      if (seen.has(key)) continue;
      seen.add(key);
    }
    bytes += stat.blocks * BLOCK_BYTES;
  }
  return bytes;
}

async function* walk(path: string): AsyncGenerator<Stats> {
  const stat = await unlessGone(lstat(path));
  if (stat === undefined) return;
  yield stat;
  if (!stat.isDirectory()) return;
  const folder = await unlessGone(opendir(path));
  if (folder === undefined) return;
  for await (const entry of folder) {
    if (entry.isDirectory()) yield* walk(`${path}/${entry.name}`);
    else {
      const inside = await unlessGone(lstat(`${path}/${entry.name}`));
      if (inside !== undefined) yield inside;
    }
  }
}

async function unlessGone<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
