/** Measures the disk space of a folder with everything below it, entry by entry. */
import type { Stats } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { errnoCodeOf } from '../core/errors.ts';
import { entryPath } from './paths.ts';
import type { DiskAmount } from './system.ts';

/** The unit of stat(2)'s block count, on every filesystem. */
const BLOCK_BYTES = 512;

export interface TreeSize extends DiskAmount {
  /** False if part of the tree, deeper than a path can name, was not counted. */
  readonly isComplete: boolean;
}

/**
 * The disk space and inodes of `path` and everything below it. Counts a file with several names once, and skips other mounts below `path`.
 * Entries that disappear meanwhile count as absent; a missing `path` has size 0.
 */
export async function measureTree(path: string): Promise<TreeSize> {
  const seen = new Set<string>();
  let bytes = 0;
  let inodes = 0;
  let isComplete = true;
  for await (const stat of walk(Buffer.from(path))) {
    if (stat === 'too deep') {
      isComplete = false;
      continue;
    }
    const key = `${stat.dev}:${stat.ino}`;
    if (stat.nlink > 1 && !stat.isDirectory()) {
      if (seen.has(key)) continue;
      seen.add(key);
    }
    bytes += stat.blocks * BLOCK_BYTES;
    inodes += 1;
  }
  return { bytes, inodes, isComplete };
}

async function* walk(path: Buffer, device?: number): AsyncGenerator<Stats | 'too deep'> {
  const stat = await unlessGone(lstat(path));
  if (stat === undefined) return;
  if (stat !== 'too deep' && stat.dev !== (device ?? stat.dev)) return;
  yield stat;
  if (stat === 'too deep' || !stat.isDirectory()) return;
  const folder = await unlessGone(opendir(path, { encoding: 'latin1' }));
  if (folder === undefined) return;
  if (folder === 'too deep') {
    yield folder;
    return;
  }
  for await (const { name } of folder) {
    yield* walk(entryPath(path, name), stat.dev);
  }
}

async function unlessGone<T>(asked: Promise<T>): Promise<T | 'too deep' | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return undefined;
    if (errnoCodeOf(error) === 'ENAMETOOLONG') return 'too deep';
    throw error;
  }
}
