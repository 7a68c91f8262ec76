/** Moves code packages to other revisions, and removes them. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { StackshimError } from '../../core/errors.ts';
import { type Layout, packageDir } from '../../core/layout.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import type { System } from '../../sys/system.ts';
import { syncDirectory } from '../../sys/write-file.ts';
import { writeLastRemoved } from '../removed-numbers.ts';
import { withStacksLock } from '../stacks-lock.ts';
import { writeCurrentPackage } from './add-package-revision.ts';
import {
  type PackageOwner,
  packageCurrentFile,
  packageNumbers,
  packageRevisionFile,
  readCurrentPackage,
  readPackageNumbers,
} from './package.ts';
import { toNotFound } from './resolve-package.ts';

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
    if (!readPackageNumbers(layout, of).includes(target)) throw toNothing(of, `no revision ${to}`);
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
  throw toNothing(of, `no revision from before ${from} is stored`);
}

function toNothing({ name, tenant }: PackageOwner, reason: string) {
  return new StackshimError(
    'ERR_STACKSHIM_PACKAGE_NOT_FOUND',
    `find code package ${name}: ${reason}`,
    {
      hint: `run stackshim code history ${name} to list the revisions`,
      details: { package: name, tenant },
    },
  );
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
      await unlinkPackageRevisions(layout, of, revisions);
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

/** Removes these revisions; numbers ascending. Precondition: the caller holds the stacks lock. */
export async function unlinkPackageRevisions(
  layout: Layout,
  of: PackageOwner,
  numbers: readonly number[],
): Promise<void> {
  const last = numbers.at(-1);
  if (last === undefined) return;
  // Write this first: if the process dies in between, no number is used again.
  await writeLastRemoved(packageNumbers(layout, of), last);
  for (const number of numbers) await rm(packageRevisionFile(layout, of, number), { force: true });
  await syncDirectory(packageDir(layout, of.tenant, of.name));
}
