import { rm } from 'node:fs/promises';
import { generationsDir, type Layout } from '../core/layout.ts';
import { generationFile } from '../store/stacks/generations.ts';
import { syncDirectory } from '../sys/files.ts';

/** Removes generations that no rollback can reach; none of them may be current. Precondition: the caller holds the stacks lock. */
export async function removeGenerations(layout: Layout, numbers: readonly number[]): Promise<void> {
  if (numbers.length === 0) return;
  for (const number of numbers) await rm(generationFile(layout, number), { force: true });
  await syncDirectory(generationsDir(layout));
}
