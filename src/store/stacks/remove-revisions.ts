/** Removes revisions from a stack's history: old ones, or all of a removed stack. */
import type { StackName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { System } from '../../sys/system.ts';
import { removeNumbered } from '../numbered-folder.ts';
import { withStacksLock } from '../stacks-lock.ts';
import { readCurrentGeneration, revisionIn } from './generations.ts';
import { readRevisionNumbers, stackFolder } from './revisions.ts';

export interface KeepOptions {
  readonly stack: StackName;
  /** How many of the newest revisions stay; 0 or more. */
  readonly keep: number;
}

/**
 * Removes all but the newest `keep` revisions. The current revision stays whatever its age, and so do newer ones, which may be about to
 * become current. Images stay until collection, so running tasks and their records are not affected. Returns the removed numbers, ascending.
 * Throws ERR_STACKSHIM_STACK_BUSY.
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
    await removeNumbered(stackFolder(layout, stack), old);
    return old;
  };
  return await withStacksLock(layout, remove, { system });
}

/** Removes every revision of a stack that the current generation does not name; does nothing for any other stack. Returns the removed numbers. */
export async function removeAllRevisions(
  layout: Layout,
  system: System,
  stack: StackName,
): Promise<readonly number[]> {
  const remove = async (): Promise<readonly number[]> => {
    if (revisionIn(readCurrentGeneration(layout), stack) !== undefined) return [];
    const numbers = readRevisionNumbers(layout, stack);
    await removeNumbered(stackFolder(layout, stack), numbers);
    return numbers;
  };
  return await withStacksLock(layout, remove, { system });
}
