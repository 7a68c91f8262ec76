/** Suggests names for a mistyped name. */

const MAX_NAMES = 3;

/** Returns at most three of `names`, nearest first: names that begin alike or differ in few letters. */
export function toNearNames(wanted: string, names: readonly string[]): string[] {
  const limit = Math.max(2, Math.floor(wanted.length / 3));
  return names
    .map((name) => ({ name, distance: toDistance(wanted, name) }))
    .filter(({ name, distance }) => distance <= limit || beginsAlike(wanted, name))
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, MAX_NAMES)
    .map(({ name }) => name);
}

const stem = (name: string) => name.replace(/[-._]?[0-9][0-9a-z._-]*$/, '');
const beginsAlike = (a: string, b: string) => stem(a) !== '' && stem(a) === stem(b);

/** Edit distance of two short strings: insertions, deletions, replacements. */
function toDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [row, letter] of [...a].entries()) {
    const current = [row + 1];
    for (const [column, other] of [...b].entries()) {
      const replaced = (previous[column] ?? 0) + (letter === other ? 0 : 1);
      const removed = (previous[column + 1] ?? 0) + 1;
      const inserted = (current[column] ?? 0) + 1;
      current.push(Math.min(replaced, removed, inserted));
    }
    previous = current;
  }
  return previous.at(-1) ?? 0;
}
