/** Adds a revision to a code package's history, and makes revisions current. */
import type { Layout } from '../../core/layout.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import type { System } from '../../sys/system.ts';
import { readImage } from '../images/image.ts';
import { unusedNumber, writeNumbered } from '../numbered-folder.ts';
import { withStacksLock } from '../stacks-lock.ts';
import { pinInStore } from '../store-lease.ts';
import { FORMAT_VERSION } from '../stored-json.ts';
import { writeStoredJson } from '../write-stored-json.ts';
import {
  type PackageOwner,
  type PackageRevision,
  packageCurrentFile,
  packageFolder,
  readCurrentPackage,
  readPackageNumbers,
  readPackageRevision,
} from './package.ts';

export interface AddPackageRevision extends Omit<PackageRevision, 'revision' | 'createdAt'> {
  readonly now: Date;
  /** `always`; or `first`: only if the package has no current revision. */
  readonly makeCurrent: 'always' | 'first';
}

export interface AddedRevision {
  readonly entry: PackageRevision;
  /** Whether the current revision is another one than before. */
  readonly isNew: boolean;
}

/**
 * Adds a revision, unless the current one (with `first`: any one) has the same image. The image must be stored. Durable when the promise resolves. Throws
 * ERR_STACKSHIM_STACK_BUSY, ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_IMAGE_CORRUPT.
 */
export async function addPackageRevision(
  layout: Layout,
  system: System,
  options: AddPackageRevision,
): Promise<AddedRevision> {
  const { name, tenant, image, source, now, makeCurrent } = options;
  const of = { name, tenant };
  await pinInStore(layout, image);
  readImage(layout, image);
  const add = async (): Promise<AddedRevision> => {
    const current = readCurrentPackage(layout, of);
    const numbers = readPackageNumbers(layout, of);
    const known =
      makeCurrent === 'first' ? numbers : numbers.filter((one) => one === current?.revision);
    for (const each of known.reverse()) {
      const entry = readPackageRevision(layout, of, each);
      if (entry?.image === image) return { entry, isNew: false };
    }
    const folder = packageFolder(layout, of);
    const revision = unusedNumber(folder);
    const entry = { name, tenant, revision, image, createdAt: now.toISOString(), source };
    await guardDisk(`write revision ${revision} of code package ${name}`, () =>
      writeNumbered(layout, folder, entry),
    );
    if (makeCurrent === 'first' && current !== undefined) return { entry, isNew: false };
    await writeCurrentPackage(layout, of, { revision, now });
    return { entry, isNew: true };
  };
  return await withStacksLock(layout, add, { system });
}

/** Precondition: the caller holds the stacks lock. */
export const writeCurrentPackage = (
  layout: Layout,
  of: PackageOwner,
  { revision, now }: { readonly revision: number; readonly now: Date },
): Promise<void> =>
  writeStoredJson(packageCurrentFile(layout, of), {
    version: FORMAT_VERSION,
    revision,
    since: now.toISOString(),
  });
