/** Adds revisions to a stack's history, and removes those that never became current. */

import { rm, rmdir } from 'node:fs/promises';
import { errnoCodeOf, StackshimError } from '../../core/errors.ts';
import { type ImageDigest, isStackName, type StackName } from '../../core/ids.ts';
import { type Layout, stackDir } from '../../core/layout.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import type { System } from '../../sys/system.ts';
import { syncDirectory } from '../../sys/write-file.ts';
import { readImage } from '../images/image.ts';
import { unusedNumber, writeNumbered } from '../numbered-folder.ts';
import { withStacksLock } from '../stacks-lock.ts';
import { pinInStore } from '../store-lease.ts';
import { readCurrentGeneration, revisionIn } from './generations.ts';
import { type Revision, type RevisionSource, revisionFile, stackFolder } from './revisions.ts';

export interface AddRevisionOptions {
  readonly stack: StackName;
  readonly image: ImageDigest;
  readonly source: RevisionSource;
  readonly now: Date;
}

/**
 * Adds a revision to a stack's history without making it current. The image must be stored. Durable when the promise resolves; if
 * interrupted, it leaves at most a revision that nothing refers to.
 */
export async function addRevision(
  layout: Layout,
  system: System,
  options: AddRevisionOptions,
): Promise<Revision> {
  const { stack, image, source } = options;
  if (!isStackName(stack)) {
    throw new StackshimError(
      'ERR_STACKSHIM_SPEC_INVALID',
      `add stack ${JSON.stringify(stack)}: not a stack name`,
      {
        hint: 'use lower-case letters and digits, with single ".", "_" or "-" between them',
        details: { field: 'stack' },
      },
    );
  }
  await pinInStore(layout, image);
  readImage(layout, image);
  const add = async (): Promise<Revision> => {
    const folder = stackFolder(layout, stack);
    const revision = unusedNumber(folder);
    const entry = { stack, revision, image, createdAt: options.now.toISOString(), source };
    await guardDisk(`write revision ${revision} of ${stack}`, () =>
      writeNumbered(layout, folder, entry),
    );
    return entry;
  };
  return await withStacksLock(layout, add, { system });
}

/** Removes a revision that is not current; its image stays until collection. Returns false, and leaves the revision, if it is current. */
export async function removeRevision(
  layout: Layout,
  system: System,
  entry: Pick<Revision, 'stack' | 'revision'>,
): Promise<boolean> {
  const remove = async (): Promise<boolean> => {
    if (revisionIn(readCurrentGeneration(layout), entry.stack) === entry.revision) return false;
    await guardDisk(`remove revision ${entry.revision} of ${entry.stack}`, async () => {
      // Its stack has been removed meanwhile.
      await rm(revisionFile(layout, entry.stack, entry.revision), { force: true });
      await syncDirectory(stackDir(layout, entry.stack));
      await removeEmptyFolder(stackDir(layout, entry.stack));
    });
    return true;
  };
  return await withStacksLock(layout, remove, { system });
}

/** Removes the folder of a stack without other revisions and without numbers to remember. */
async function removeEmptyFolder(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(errnoCodeOf(error) ?? '')) throw error;
  }
}
