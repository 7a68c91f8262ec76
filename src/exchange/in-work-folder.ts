/** Makes a folder for the files of one exchange. */
import { mkdir } from 'node:fs/promises';
import type { Layout } from '../core/layout.ts';
import { temporaryPath } from '../store/stale-files.ts';
import { guardDisk } from '../sys/guard-disk.ts';
import { removeTree } from '../sys/remove-tree.ts';

/** Calls `use` with a folder below `tmp/`, and removes the folder when the promise settles. */
export async function inWorkFolder<T>(
  layout: Layout,
  use: (work: string) => Promise<T>,
): Promise<T> {
  const work = temporaryPath(layout);
  await guardDisk(`make ${work}`, () => mkdir(work, { recursive: true, mode: 0o700 }));
  try {
    return await use(work);
  } finally {
    await removeTree(work);
  }
}
