/** Reads the revisions of every code package, and finds what cannot be read. */
import { StackshimError } from '../../core/errors.ts';
import type { Layout } from '../../core/layout.ts';
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

export interface SurveyedRevision extends PackageRevision {
  readonly current: boolean;
}

/** A file of a package that cannot be used. */
export interface PackageDamage extends PackageOwner {
  readonly path: string;
  readonly error: StackshimError;
  /** Null: it is not known which revision is current. */
  readonly revision: number | null;
  readonly current: boolean;
}

export interface PackageSurvey {
  readonly revisions: readonly SurveyedRevision[];
  /** Packages without a current revision whose revisions can be read: adding or removing them was interrupted, or is going on. */
  readonly unfinished: readonly PackageOwner[];
  readonly damage: readonly PackageDamage[];
}

/** Blocks for as many file reads as there are packages and revisions. Does not throw for damage. */
export function surveyPackages(layout: Layout): PackageSurvey {
  const revisions: SurveyedRevision[] = [];
  const unfinished: PackageOwner[] = [];
  const damage: PackageDamage[] = [];
  for (const of of listPackageOwners(layout)) {
    const note = (path: string, revision: number | null, current: boolean) => (error: unknown) => {
      if (!(error instanceof StackshimError)) throw error;
      damage.push({ ...of, path, error, revision, current });
    };
    const now = attempt(() => readCurrentPackage(layout, of)?.revision ?? null, {
      fail: note(packageCurrentFile(layout, of), null, true),
    });
    const numbers = readPackageNumbers(layout, of);
    if (now === null && numbers.length > 0) unfinished.push(of);
    const missing = now == null || numbers.includes(now) ? [] : [now];
    for (const number of [...numbers, ...missing]) {
      const current = number === now;
      const path = packageRevisionFile(layout, of, number);
      const entry = attempt(() => requirePackageRevision(layout, of, number), {
        fail: note(path, number, current),
      });
      if (entry !== undefined) revisions.push({ ...entry, current });
    }
  }
  return { revisions, unfinished, damage };
}

function attempt<T>(
  read: () => T,
  { fail }: { readonly fail: (error: unknown) => void },
): T | undefined {
  try {
    return read();
  } catch (error) {
    fail(error);
    return undefined;
  }
}
