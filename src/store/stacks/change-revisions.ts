/** Adds revisions to a stack's history. Removes revisions that never became current, old revisions, or all of a removed stack. */
import { rm, rmdir } from 'node:fs/promises';
import { tolerate } from '../../core/errors.ts';
import { isStackName, type StackName } from '../../core/ids.ts';
import { type Layout, stackDir } from '../../core/layout.ts';
import { invalidInput } from '../../spec/field-errors.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import type { System } from '../../sys/system.ts';
import { syncDirectory } from '../../sys/write-file.ts';
import { readImage } from '../images/image.ts';
import { removeNumbered, unusedNumber, writeNumbered } from '../numbered-folder.ts';
import { pinInStore } from '../store-lease.ts';
import { withStacksLock } from '../with-lock.ts';
import { readCurrentGeneration, revisionIn } from './generations.ts';
import { type Revision, readRevisionNumbers, revisionFile, stackFolder } from './revisions.ts';

type NewRevision = Omit<Revision, 'revision' | 'createdAt'> & { readonly now: Date };

/**
 * Adds a revision to a stack's history without making it current. The image must be stored. Durable when the promise resolves; an interrupted call
 * leaves at most a revision that nothing refers to.
 */
export async function addRevision(
  layout: Layout,
  system: System,
  { stack, image, source, now }: NewRevision,
): Promise<Revision> {
  if (!isStackName(stack)) {
    const message = `add stack ${JSON.stringify(stack)}: not a stack name`;
    const hint = 'use lower-case letters and digits, with single ".", "_" or "-" between them';
    throw invalidInput('stack', message, hint);
  }
  await pinInStore(layout, image);
  readImage(layout, image);
  return await withStacksLock(layout, system, async () => {
    const folder = stackFolder(layout, stack);
    const revision = unusedNumber(folder);
    const entry = { stack, revision, image, createdAt: now.toISOString(), source };
    await writeNumbered(layout, folder, entry);
    return entry;
  });
}

/** Removes a revision unless it is current; its image stays until collection. Returns false if the revision is current. */
export async function removeRevision(
  layout: Layout,
  system: System,
  { stack, revision }: Pick<Revision, 'stack' | 'revision'>,
): Promise<boolean> {
  return await withStacksLock(layout, system, async () => {
    if (revisionIn(readCurrentGeneration(layout), stack) === revision) return false;
    await guardDisk(`remove revision ${revision} of ${stack}`, async () => {
      // The file may be gone: another process may have removed the stack.
      await rm(revisionFile(layout, stack, revision), { force: true });
      await syncDirectory(stackDir(layout, stack));
      // The folder stays if it has other revisions, or numbers to remember.
      await rmdir(stackDir(layout, stack)).catch(tolerate('ENOTEMPTY', 'EEXIST', 'ENOENT'));
    });
    return true;
  });
}

/**
 * Removes all but the newest `keep` revisions. Keeps the current revision whatever its age, and newer revisions, which may be about to become
 * current. Images stay until collection, so running tasks and their records are not affected. Returns the removed numbers, ascending. Throws
 * ERR_STACKSHIM_STACK_BUSY.
 */
export async function removeOldRevisions(
  layout: Layout,
  system: System,
  { stack, keep }: { readonly stack: StackName; readonly keep: number },
): Promise<readonly number[]> {
  return await withStacksLock(layout, system, async () => {
    const numbers = readRevisionNumbers(layout, stack);
    const current = revisionIn(readCurrentGeneration(layout), stack) ?? 0;
    const kept = new Set(keep === 0 ? [] : numbers.slice(-keep));
    const old = numbers.filter((number) => number < current && !kept.has(number));
    await removeNumbered(stackFolder(layout, stack), old);
    return old;
  });
}

/** Removes all revisions of a stack that is not in the current generation; otherwise does nothing. Returns the removed numbers. */
export async function removeAllRevisions(
  layout: Layout,
  system: System,
  stack: StackName,
): Promise<readonly number[]> {
  return await withStacksLock(layout, system, async () => {
    if (revisionIn(readCurrentGeneration(layout), stack) !== undefined) return [];
    const numbers = readRevisionNumbers(layout, stack);
    await removeNumbered(stackFolder(layout, stack), numbers);
    return numbers;
  });
}
