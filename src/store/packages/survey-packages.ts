/** Reads the revisions of every code package and reports those that cannot be read. */
import type { StackshimError } from '../../core/errors.ts';
import type { Layout } from '../../core/layout.ts';
import { unlessDamaged } from '../stored-json.ts';
import { listPackageOwners } from './list-packages.ts';
import {
  type PackageOwner,
  type PackageRevision,
  packageCurrentFile,
  packageRevisionFile,
  readCurrentPackage,
  readPackageNumbers,
  requirePackageRevision,
} from './package.ts';

interface PackageDamage extends PackageOwner {
  readonly path: string;
  readonly error: StackshimError;
  /** Null if the current revision is unknown. */
  readonly revision: number | null;
  readonly current: boolean;
}

export interface PackageSurvey {
  readonly revisions: readonly (PackageRevision & { readonly current: boolean })[];
  /** Packages with revisions but without the file `current`: adding or removing them was interrupted or is running. */
  readonly unfinished: readonly PackageOwner[];
  readonly damage: readonly PackageDamage[];
}

/** Blocks for as many file reads as there are packages and revisions. Damage is returned, not thrown. */
export function surveyPackages(layout: Layout): PackageSurvey {
  const revisions: PackageSurvey['revisions'][number][] = [];
  const unfinished: PackageOwner[] = [];
  const damage: PackageDamage[] = [];
  for (const of of listPackageOwners(layout)) {
    const note = (revision: number | null, current: boolean, path: string) => {
      return (error: StackshimError) => damage.push({ ...of, path, error, revision, current });
    };
    const now = unlessDamaged(
      () => readCurrentPackage(layout, of)?.revision ?? null,
      note(null, true, packageCurrentFile(layout, of)),
    );
    const numbers = readPackageNumbers(layout, of);
    if (now === null && numbers.length > 0) unfinished.push(of);
    const missing = now == null || numbers.includes(now) ? [] : [now];
    for (const number of [...numbers, ...missing]) {
      const current = number === now;
      const entry = unlessDamaged(
        () => requirePackageRevision(layout, of, number),
        note(number, current, packageRevisionFile(layout, of, number)),
      );
      if (entry !== undefined) revisions.push({ ...entry, current });
    }
  }
  return { revisions, unfinished, damage };
}
