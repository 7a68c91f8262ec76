/** Chooses the revisions that a collection removes from the history. Pure. */
import type { ImageDigest, StackName } from '../core/ids.ts';
import type { PackageOwner, PackageRevision } from '../store/packages/package.ts';
import { revisionIn } from '../store/stacks/generations.ts';
import type { Revision } from '../store/stacks/revisions.ts';
import type { Damage, StoreSurvey } from '../store/survey-store.ts';

export interface RevisionChoice {
  /** How many of a stack's newest revisions stay; undefined: all that were ever current. */
  readonly keep: number | undefined;
  /** Whether a task, an import or a build is about to use the image. */
  readonly isInUse: (image: ImageDigest) => boolean;
}

/**
 * Returns the revisions that are older than the current one and not among the newest `keep`, and those that never became current because
 * their build died. Returns none if damage to the store hides which revisions these are.
 */
export function chooseRevisions(survey: StoreSurvey, choice: RevisionChoice): readonly Revision[] {
  const isUnclear = survey.damage.some(({ kind }) => !APART.has(kind));
  // `current` is missing although there are generations: someone is repairing the store by hand.
  if (isUnclear || (survey.generation === undefined && survey.generations > 0)) return [];
  const stacks = new Set(survey.revisions.map(({ stack }) => stack));
  return [...stacks].flatMap((stack) => {
    const revisions = survey.revisions.filter((one) => one.stack === stack);
    const old = findOld(survey, stack, revisions, choice.keep);
    // A revision gets its number before it becomes current. If no generation names this number or a higher one, it never was current.
    const newest = survey.newestNamed.get(stack) ?? 0;
    const unproven = revisions.filter(({ revision }) => revision > newest);
    return [...old, ...unproven].filter(({ image }) => !choice.isInUse(image));
  });
}

/** Kinds of damage that do not hide which revisions of stacks are old. */
export const APART: ReadonlySet<Damage['kind']> = new Set(['image', 'layer', 'package']);

/** Returns the packages' revisions that are neither current nor among the newest `keep`; all if none is current; none of a damaged package. */
export function choosePackageRevisions(
  { packages }: StoreSurvey,
  { keep, isInUse }: RevisionChoice,
): readonly PackageRevision[] {
  const damaged = new Set(packages.damage.map(toKey));
  const unfinished = new Set(packages.unfinished.map(toKey));
  const keys = new Set(packages.revisions.map(toKey));
  const old = [...keys].flatMap((key) => {
    const revisions = packages.revisions.filter((one) => toKey(one) === key);
    if (damaged.has(key)) return [];
    if (unfinished.has(key)) return revisions;
    const now = revisions.find(({ current }) => current)?.revision;
    if (keep === undefined || now === undefined) return [];
    const newest = new Set(keep === 0 ? [] : revisions.slice(-keep));
    return revisions.filter((one) => one.revision !== now && !newest.has(one));
  });
  return old.filter(({ image }) => !isInUse(image));
}

const toKey = ({ tenant, name }: PackageOwner) => `${tenant ?? ''}/${name}`;

function findOld(
  survey: StoreSurvey,
  stack: StackName,
  revisions: readonly Revision[],
  keep: number | undefined,
): readonly Revision[] {
  const current = revisionIn(survey.generation, stack);
  if (keep === undefined || current === undefined) return [];
  const numbers = revisions.map(({ revision }) => revision).sort((a, b) => a - b);
  const newest = new Set(keep === 0 ? [] : numbers.slice(-keep));
  return revisions.filter(({ revision }) => revision < current && !newest.has(revision));
}
