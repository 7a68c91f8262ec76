/** Removes generations that nothing can go back to. */
import { rm } from 'node:fs/promises';
import { generationsDir, type Layout } from '../core/layout.ts';
import { syncDirectory } from '../sys/write-file.ts';
import { generationFile } from './generations.ts';

/** Removes generations of which none is current. The caller holds the stacks lock. */
export async function removeGenerations(layout: Layout, numbers: readonly number[]): Promise<void> {
  if (numbers.length === 0) return;
  for (const number of numbers) await rm(generationFile(layout, number), { force: true });
  await syncDirectory(generationsDir(layout));
}
