/** Moves code packages to other revisions, and removes them. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Layout } from '../../core/layout.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import type { System } from '../../sys/system.ts';
import { removeNumbered } from '../numbered-folder.ts';
import { withStacksLock } from '../stacks-lock.ts';
import { writeCurrentPackage } from './add-package-revision.ts';
import {
  type PackageOwner,
  packageCurrentFile,
  packageFolder,
  readCurrentPackage,
  readPackageNumbers,
} from './package.ts';
import { toNoRevision, toNotFound } from './resolve-package.ts';

/** From which revision a package was moved to which. */
export interface PackageMove extends PackageOwner {
  readonly from: number;
  readonly to: number;
}

/**
 * Makes another stored revision current: `to`, or the one before the current one. Running tasks keep their revision. Throws
 * ERR_STACKSHIM_PACKAGE_NOT_FOUND if there is no such package or revision, or nothing to go back to; ERR_STACKSHIM_STACK_BUSY.
 */
export async function rollbackPackage(
  { layout, system }: { readonly layout: Layout; readonly system: System },
  of: PackageOwner,
  { to, now }: { readonly to?: number | undefined; readonly now: Date },
): Promise<PackageMove> {
  const move = async (): Promise<PackageMove> => {
    const current = readCurrentPackage(layout, of);
    if (current === undefined) throw toNotFound(layout, of);
    const from = current.revision;
    const target = to === undefined ? findEarlierRevision(layout, of, from) : to;
    if (!readPackageNumbers(layout, of).includes(target))
      throw toNoRevision(of, `no revision ${to}`);
    await writeCurrentPackage(layout, of, { revision: target, now });
    return { ...of, from, to: target };
  };
  return await withStacksLock(layout, move, { system });
}

/** The newest stored revision older than `from`. Throws ERR_STACKSHIM_PACKAGE_NOT_FOUND. */
export function findEarlierRevision(layout: Layout, of: PackageOwner, from: number): number {
  const earlier = readPackageNumbers(layout, of).filter((number) => number < from);
  const found = earlier.at(-1);
  if (found !== undefined) return found;
  throw toNoRevision(of, `no revision from before ${from} is stored`);
}

/** A package that is gone. */
export interface RemovedPackage extends PackageOwner {
  /** Numbers of its revisions, ascending. */
  readonly revisions: readonly number[];
}

/**
 * Removes a package with all its revisions; its numbers are not used again. Images and layers stay until collection, and longer if a task's record
 * names them. If a call is killed, the next one completes it. Throws ERR_STACKSHIM_PACKAGE_NOT_FOUND, ERR_STACKSHIM_STACK_BUSY.
 */
export async function removePackage(
  { layout, system }: { readonly layout: Layout; readonly system: System },
  of: PackageOwner,
): Promise<RemovedPackage> {
  const remove = async (): Promise<RemovedPackage> => {
    requirePackage(layout, of);
    const revisions = readPackageNumbers(layout, of);
    await guardDisk(`remove code package ${of.name}`, async () => {
      await rm(packageCurrentFile(layout, of), { force: true });
      await removeNumbered(packageFolder(layout, of), revisions);
    });
    return { ...of, revisions };
  };
  return await withStacksLock(layout, remove, { system });
}

/** Throws ERR_STACKSHIM_PACKAGE_NOT_FOUND. A package that is damaged, or whose removal was interrupted, is there. */
export function requirePackage(layout: Layout, of: PackageOwner): void {
  if (existsSync(packageCurrentFile(layout, of))) return;
  if (readPackageNumbers(layout, of).length === 0) throw toNotFound(layout, of);
}
