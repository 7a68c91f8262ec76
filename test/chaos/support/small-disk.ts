/** Fills a test's own filesystem until a number of blocks is free. */
import { closeSync, ftruncateSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { errnoCodeOf } from '../../../src/core/errors.ts';

const fillerIn = (folder: string) => join(folder, '.filler');

/** @param folder The mount point. */
export function fillDisk(folder: string, freeBlocks: number): void {
  const { bsize } = statfsSync(folder);
  const fd = openSync(fillerIn(folder), 'w');
  let written = 0;
  try {
    for (;;) written += writeSync(fd, Buffer.alloc(bsize));
  } catch (error) {
    if (errnoCodeOf(error) !== 'ENOSPC') throw error;
  }
  ftruncateSync(fd, Math.max(0, written - freeBlocks * bsize));
  closeSync(fd);
}

/** Removes the files that fill it. */
export const emptyDisk = (folder: string): void => rmSync(fillerIn(folder), { force: true });
