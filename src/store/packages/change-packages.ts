/** Adds revisions to code packages, makes revisions current, and removes packages. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Layout } from '../../core/layout.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import type { System } from '../../sys/system.ts';
import { readImage } from '../images/image.ts';
import { removeNumbered, unusedNumber, writeNumbered } from '../numbered-folder.ts';
import { pinInStore } from '../store-lease.ts';
import { withStacksLock } from '../with-lock.ts';
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
import { toNoRevision, toNotFound } from './resolve-package.ts';

interface AddPackageRevision extends Omit<PackageRevision, 'revision' | 'createdAt'> {
  readonly now: Date;
  /** `always`; or `first`: only if the package has no current revision. */
  readonly makeCurrent: 'always' | 'first';
}

/**
 * Adds a revision, unless the current revision (with `first`: any revision) has the same image. The image must be stored. Durable when the promise
 * resolves. `isNew` says whether the current revision changed. Throws ERR_STACKSHIM_STACK_BUSY, ERR_STACKSHIM_DISK_FULL,
 * ERR_STACKSHIM_IMAGE_CORRUPT.
 */
export async function addPackageRevision(
  layout: Layout,
  system: System,
  { name, tenant, image, source, now, makeCurrent }: AddPackageRevision,
): Promise<{ readonly entry: PackageRevision; readonly isNew: boolean }> {
  const of = { name, tenant };
  await pinInStore(layout, image);
  readImage(layout, image);
  return await withStacksLock(layout, system, async () => {
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
    await writeNumbered(layout, folder, entry);
    if (makeCurrent === 'first' && current !== undefined) return { entry, isNew: false };
    await writeCurrentPackage(layout, of, revision, now);
    return { entry, isNew: true };
  });
}

/** Precondition: the caller holds the stacks lock. */
const writeCurrentPackage = (layout: Layout, of: PackageOwner, revision: number, now: Date) =>
  writeStoredJson(packageCurrentFile(layout, of), { revision, since: now.toISOString() });

/** A package's move from one revision to another. */
export interface PackageMove extends PackageOwner {
  readonly from: number;
  readonly to: number;
}

/**
 * Makes another stored revision current: `to`, or the newest older than the current one. Running tasks keep their revision. Throws
 * ERR_STACKSHIM_PACKAGE_NOT_FOUND if the package or revision does not exist or no older revision is stored; ERR_STACKSHIM_STACK_BUSY.
 */
export async function rollbackPackage(
  { layout, system }: { readonly layout: Layout; readonly system: System },
  of: PackageOwner,
  { to, now }: { readonly to?: number | undefined; readonly now: Date },
): Promise<PackageMove> {
  return await withStacksLock(layout, system, async () => {
    const current = readCurrentPackage(layout, of);
    if (current === undefined) throw toNotFound(layout, of);
    const from = current.revision;
    const target = to ?? findEarlierRevision(layout, of, from);
    if (!readPackageNumbers(layout, of).includes(target))
      throw toNoRevision(of, `no revision ${to}`);
    await writeCurrentPackage(layout, of, target, now);
    return { ...of, from, to: target };
  });
}

/** The newest stored revision older than `from`. Throws ERR_STACKSHIM_PACKAGE_NOT_FOUND. */
export function findEarlierRevision(layout: Layout, of: PackageOwner, from: number): number {
  const found = readPackageNumbers(layout, of).findLast((number) => number < from);
  if (found !== undefined) return found;
  throw toNoRevision(of, `no revision from before ${from} is stored`);
}

/** A removed package. */
export interface RemovedPackage extends PackageOwner {
  /** Numbers of its revisions, ascending. */
  readonly revisions: readonly number[];
}

/**
 * Removes a package with all its revisions; their numbers are not used again. Images and layers stay until collection, or longer if a task's record
 * names them. After a killed call, the next call completes the removal. Throws ERR_STACKSHIM_PACKAGE_NOT_FOUND, ERR_STACKSHIM_STACK_BUSY.
 */
export async function removePackage(
  { layout, system }: { readonly layout: Layout; readonly system: System },
  of: PackageOwner,
): Promise<RemovedPackage> {
  return await withStacksLock(layout, system, async () => {
    requirePackage(layout, of);
    const revisions = readPackageNumbers(layout, of);
    await guardDisk(`remove code package ${of.name}`, async () => {
      await rm(packageCurrentFile(layout, of), { force: true });
      await removeNumbered(packageFolder(layout, of), revisions);
    });
    return { ...of, revisions };
  });
}

/** Throws ERR_STACKSHIM_PACKAGE_NOT_FOUND. A package that is damaged, or whose removal was interrupted, still exists. */
export function requirePackage(layout: Layout, of: PackageOwner): void {
  if (existsSync(packageCurrentFile(layout, of))) return;
  if (readPackageNumbers(layout, of).length === 0) throw toNotFound(layout, of);
}
