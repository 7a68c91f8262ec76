/** Makes almost valid JSON values: a valid one with a few changes in its tree. */
import type { Random } from './fuzz-random.ts';
import { type MutationSource, mutateBytes } from './mutate-bytes.ts';

const MAX_CHANGES = 3;
const MAX_NODES = 20_000;
const DEPTH = 500;
/** A key that JSON.parse makes an own property, unlike plain assignment. */
const withProto = (value: unknown): unknown =>
  JSON.parse(`{"__proto__": ${JSON.stringify(value) ?? 'null'}}`);

const nested = (): unknown => {
  let value: unknown = 'deep';
  for (let depth = 0; depth < DEPTH; depth++) value = depth % 2 === 0 ? [value] : { a: value };
  return value;
};

const VALUES: readonly (() => unknown)[] = [
  ...[null, true, false, 0, -0, -1, 1, 0.5, 1e308, -1e308, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 63].map(
    (value) => () => value,
  ),
  ...['', ' ', '0', '-1', '1e9', 'null', '\0', 'a\nb', '../../etc', '/', '__proto__', '\ud800'].map(
    (value) => () => value,
  ),
  () => 'x'.repeat(5000),
  () => 'x'.repeat(70_000),
  () => [],
  () => ({}),
  () => [[]],
  () => [null],
  () => ({ '': '' }),
  () => withProto({ polluted: true }),
  () => ({ constructor: { prototype: {} }, toString: 1, length: 3 }),
  () => ({ length: { toString: 1 } }),
  () => Array(3000).fill('a'),
  () => Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`k${i}`, 'v'])),
  nested,
];

interface Spot {
  readonly holder: Record<string, unknown> | unknown[];
  readonly key: string;
}

/** A deep copy of the sample with one to three changes; sometimes another value altogether. */
export function mutateJson(sample: unknown, source: MutationSource): unknown {
  const { random } = source;
  if (random.chance(0.02)) return random.pick(VALUES)();
  const root = { value: structuredClone(sample) };
  for (let count = 1 + random.below(MAX_CHANGES); count > 0; count--) change(root, source);
  return root.value;
}

function change(root: { value: unknown }, source: MutationSource): void {
  const { random } = source;
  // Copies of copies of copies would grow without limit.
  const nodes = countNodes(root, MAX_NODES);
  if (nodes >= MAX_NODES) return;
  const spots = listSpots(root);
  const { holder, key } = random.pick(spots);
  const at = holder as Record<string, unknown>;
  const value = at[key];
  switch (random.below(8)) {
    case 0:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else if (holder !== root) delete holder[key];
      return;
    case 1:
      addEntry(value, source);
      return;
    case 2: {
      const other = random.pick(spots);
      at[key] = structuredClone((other.holder as Record<string, unknown>)[other.key]);
      return;
    }
    case 3:
      if (typeof value === 'number') at[key] = String(value);
      else if (typeof value === 'string' && value !== '') at[key] = Number(value);
      else at[key] = [value];
      return;
    case 4:
      if (Array.isArray(holder))
        holder.push(...Array(1 + random.below(Math.min(300, MAX_NODES / nodes))).fill(value));
      else at[`${key}2`] = value;
      return;
    case 5:
    case 6:
      if (typeof value === 'string') {
        at[key] = mutateBytes(Buffer.from(value), source).toString('utf8');
        return;
      }
      break;
    default:
  }
  at[key] = random.pick(VALUES)();
}

function addEntry(value: unknown, { random, words = [] }: MutationSource): void {
  if (Array.isArray(value)) value.push(random.pick(VALUES)());
  else if (isObject(value)) value[keyOf(random, words)] = random.pick(VALUES)();
}

const keyOf = (random: Random, words: readonly string[]): string =>
  words.length > 0 && random.chance(0.7)
    ? random.pick(words)
    : random.pick([
        '',
        'x',
        'length',
        'constructor',
        'toString',
        'hasOwnProperty',
        'k'.repeat(2000),
      ]);

function listSpots(root: { value: unknown }): readonly Spot[] {
  const spots: Spot[] = [];
  const visit = (holder: Spot['holder'], depth: number): void => {
    for (const key of Object.keys(holder)) {
      // Enough to choose from, without descending into values that mutations nested.
      if (spots.length > 2000) return;
      spots.push({ holder, key });
      const value = (holder as Record<string, unknown>)[key];
      if (depth < 12 && typeof value === 'object' && value !== null) {
        visit(value as Spot['holder'], depth + 1);
      }
    }
  };
  visit(root, 0);
  return spots;
}

/** Values in a tree, each as often as it occurs; stops counting at `most`. */
function countNodes(value: unknown, most: number): number {
  if (!isObject(value)) return 1;
  let nodes = 1;
  for (const child of Object.values(value)) {
    if (nodes >= most) return most;
    nodes += countNodes(child, most - nodes);
  }
  return nodes;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
