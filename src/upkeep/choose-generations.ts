/** Chooses the generations that a collection removes: those that no rollback and no stored revision's history needs. Pure. */
import type { StackName } from '../core/ids.ts';
import { type Generation, revisionIn } from '../store/stacks/generations.ts';
import type { Revision } from '../store/stacks/revisions.ts';

export interface GenerationChoice {
  readonly current: Generation | undefined;
  /** All readable generations, ascending. */
  readonly generations: readonly Generation[];
  /** The revisions that stay. */
  readonly revisions: readonly Pick<Revision, 'stack' | 'revision'>[];
}

/** The most earlier generations that stay for rollbacks, however often stacks are moved back and forth. */
const MAX_REACHABLE = 1000;
/** How many earlier generations always stay: a process that read `current` reads the named generation a moment later. */
const NEWEST = 10;

/**
 * Returns the numbers of the generations to remove, ascending. These stay:
 * - the current generation, the newest {@link NEWEST} before it, and those above it, which may be about to become current;
 * - those that `release rollback --to` can restore, because all revisions that it needs are stored;
 * - for each stored revision, the newest generation that names it: it proves that the revision was current, and when.
 */
export function chooseGenerations(choice: GenerationChoice): readonly number[] {
  const { current, generations } = choice;
  if (current === undefined) return [];
  const stored = new Set(choice.revisions.map(toKey));
  const earlier = generations.filter(({ number }) => number < current.number).reverse();
  const kept = new Set(earlier.slice(0, NEWEST).map(({ number }) => number));
  const reachable = earlier.filter((one) => isReachable(one, current, stored));
  for (const { number } of reachable.slice(0, MAX_REACHABLE)) kept.add(number);
  const proven = new Set<string>();
  for (const generation of [...generations].reverse()) {
    for (const revision of toRevisions(generation)) {
      const key = toKey(revision);
      if (!stored.has(key) || proven.has(key)) continue;
      proven.add(key);
      kept.add(generation.number);
    }
  }
  return earlier
    .map(({ number }) => number)
    .filter((number) => !kept.has(number))
    .reverse();
}

/** A rollback leaves out stacks that were removed since. */
function isReachable(
  generation: Generation,
  current: Generation,
  stored: ReadonlySet<string>,
): boolean {
  return toRevisions(generation).every(
    (one) => revisionIn(current, one.stack) === undefined || stored.has(toKey(one)),
  );
}

const toKey = ({ stack, revision }: Pick<Revision, 'stack' | 'revision'>) => `${stack} ${revision}`;

const toRevisions = ({ stacks }: Generation) =>
  Object.entries(stacks).map(([name, revision]) => ({ stack: name as StackName, revision }));
