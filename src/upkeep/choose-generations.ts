/** Which generations a collection removes: those that no rollback can lead to, and that tell of nothing that is stored. Pure. */
import type { StackName } from '../core/ids.ts';
import { type Generation, revisionIn } from '../store/stacks/generations.ts';
import type { Revision } from '../store/stacks/revisions.ts';

export interface GenerationChoice {
  readonly current: Generation | undefined;
  /** All that can be read, ascending. */
  readonly generations: readonly Generation[];
  /** The revisions that stay. */
  readonly revisions: readonly Pick<Revision, 'stack' | 'revision'>[];
}

/** However often stacks are moved to and fro among their revisions, no more earlier generations stay to go back to. */
const MOST_REACHABLE = 1000;
/** Whoever reads `current` reads the generation that it names a moment later. */
const NEWEST = 10;

/**
 * Numbers, ascending. What stays:
 * - the current generation, the newest few, and those above it, which may be on their way;
 * - those that `release rollback --to` can restore, as every revision is stored that it would need;
 * - of each stored revision the newest generation that names it: it tells that the revision was current, and when.
 */
export function chooseGenerations(choice: GenerationChoice): readonly number[] {
  const { current, generations } = choice;
  if (current === undefined) return [];
  const stored = new Set(choice.revisions.map(toKey));
  const earlier = generations.filter(({ number }) => number < current.number).reverse();
  const kept = new Set(earlier.slice(0, NEWEST).map(({ number }) => number));
  const reachable = earlier.filter((one) => isReachable(one, current, stored));
  for (const { number } of reachable.slice(0, MOST_REACHABLE)) kept.add(number);
  const told = new Set<string>();
  for (const generation of [...generations].reverse()) {
    for (const revision of toRevisions(generation)) {
      const key = toKey(revision);
      if (!stored.has(key) || told.has(key)) continue;
      told.add(key);
      kept.add(generation.number);
    }
  }
  return earlier
    .map(({ number }) => number)
    .filter((number) => !kept.has(number))
    .reverse();
}

/** A stack that was removed since is left out of a rollback. */
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
