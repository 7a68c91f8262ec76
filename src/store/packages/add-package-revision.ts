/** Adds a revision to a code package's history, and makes revisions current. */
import { link, unlink } from 'node:fs/promises';
import { type Layout, packageDir, tenantPackagesDir, tmpDir } from '../../core/layout.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import type { System } from '../../sys/system.ts';
import { ensureDirectory, syncDirectory } from '../../sys/write-file.ts';
import { readImage } from '../images/image.ts';
import { readLastRemoved } from '../removed-numbers.ts';
import { withStacksLock } from '../stacks-lock.ts';
import { temporaryPath } from '../stale-files.ts';
import { pinInStore } from '../store-lease.ts';
import { FORMAT_VERSION, nextNumber } from '../stored-json.ts';
import { writeStoredJson } from '../write-stored-json.ts';
import {
  type PackageOwner,
  type PackageRevision,
  packageCurrentFile,
  packageNumbers,
  packageRevisionFile,
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
    const revision = Math.max(nextNumber(numbers), readLastRemoved(packageNumbers(layout, of)) + 1);
    const entry = { name, tenant, revision, image, createdAt: now.toISOString(), source };
    await guardDisk(`write revision ${revision} of code package ${name}`, () =>
      writeNewRevision(layout, entry),
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

async function writeNewRevision(layout: Layout, entry: PackageRevision): Promise<void> {
  const directory = packageDir(layout, entry.tenant, entry.name);
  await ensureDirectory(tenantPackagesDir(layout, entry.tenant), 0o700);
  await ensureDirectory(directory, 0o700);
  await ensureDirectory(tmpDir(layout), 0o700);
  const temporary = temporaryPath(layout, '.revision');
  await writeStoredJson(temporary, { version: FORMAT_VERSION, ...entry });
  try {
    // link(2) refuses an existing name: a stored revision is never replaced, whatever went wrong before.
    await link(temporary, packageRevisionFile(layout, entry, entry.revision));
  } finally {
    await unlink(temporary);
  }
  await syncDirectory(directory);
}
