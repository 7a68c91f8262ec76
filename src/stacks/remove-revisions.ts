/** Takes revisions out of a stack's history: the ones that are too old, or all of a stack that is gone. */
import { unlink } from 'node:fs/promises';
import { errnoCodeOf } from '../core/errors.ts';
import type { StackName } from '../core/ids.ts';
import { type Layout, stackDir } from '../core/layout.ts';
import { guardDisk } from '../layers/guard-disk.ts';
import type { System } from '../sys/system.ts';
import { syncDirectory } from '../sys/write-file.ts';
import { readCurrentGeneration, revisionIn } from './generations.ts';
import { writeLastRemoved } from './removed-numbers.ts';
import { readRevisionNumbers, revisionFile } from './revisions.ts';
import { withStacksLock } from './stacks-lock.ts';

export interface KeepOptions {
  readonly stack: StackName;
  /** How many of the newest revisions stay; 0 or more. */
  readonly keep: number;
}

/**
 * Removes all but the newest `keep` revisions. The current one stays whatever its age, and so does what is newer than it:
 * it may be on its way to become current. Images stay until collection: tasks go on, and so do their records.
 * Returns the removed numbers, ascending. Throws ERR_STACKSHIM_STACK_BUSY.
 */
export async function removeOldRevisions(
  layout: Layout,
  system: System,
  options: KeepOptions,
): Promise<readonly number[]> {
  const remove = async (): Promise<readonly number[]> => {
    const { stack, keep } = options;
    const numbers = readRevisionNumbers(layout, stack);
    const current = revisionIn(readCurrentGeneration(layout), stack) ?? 0;
    const kept = new Set(keep === 0 ? [] : numbers.slice(-keep));
    const old = numbers.filter((number) => number < current && !kept.has(number));
    await unlinkRevisions(layout, stack, old);
    return old;
  };
  return await withStacksLock(layout, remove, { system });
}

/** Removes every revision of a stack that no current generation names; of any other stack, none. Returns the removed numbers. */
export async function removeAllRevisions(
  layout: Layout,
  system: System,
  stack: StackName,
): Promise<readonly number[]> {
  const remove = async (): Promise<readonly number[]> => {
    if (revisionIn(readCurrentGeneration(layout), stack) !== undefined) return [];
    const numbers = readRevisionNumbers(layout, stack);
    await unlinkRevisions(layout, stack, numbers);
    return numbers;
  };
  return await withStacksLock(layout, remove, { system });
}

/** Removes these revisions, their numbers ascending. The caller holds the stacks lock. */
export async function unlinkRevisions(
  layout: Layout,
  stack: StackName,
  numbers: readonly number[],
): Promise<void> {
  const last = numbers.at(-1);
  if (last === undefined) return;
  await guardDisk(`remove revisions of ${stack}`, async () => {
    // First, so that a death in between leaves no number to be given again.
    await writeLastRemoved(layout, stack, last);
    for (const number of numbers) {
      await unlink(revisionFile(layout, stack, number)).catch((error: unknown) => {
        if (errnoCodeOf(error) !== 'ENOENT') throw error;
      });
    }
    await syncDirectory(stackDir(layout, stack));
  });
}
