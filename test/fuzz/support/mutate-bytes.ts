/** Makes almost valid inputs: valid bytes with a few changes. */
import type { Random } from './fuzz-random.ts';

/** Mutations do not enlarge an input: other tests show what parsers do with large inputs. */
const MAX_BYTES = 128 * 1024;
const MAX_CHANGES = 5;

const NUMBERS = [
  ...['0', '-0', '-1', '1', '00', '010', '0x10', '1e3', '1e999', '-1e999', '.5', '1.', '+1', ' 1'],
  ...['127', '128', '255', '256', '65535', '65536', '2147483647', '2147483648', '4294967295'],
  ...['4294967296', '9007199254740991', '9007199254740992', '9223372036854775807'],
  ...[
    '9223372036854775808',
    '18446744073709551616',
    '99999999999999999999999999',
    'NaN',
    'Infinity',
  ],
];
const WORDS = [
  ...[
    '',
    '\0',
    '\n',
    '\r\n',
    '\t',
    ' ',
    '/',
    '//',
    '.',
    '..',
    '../',
    '/..',
    './',
    ':',
    ',',
    '=',
    '@',
  ],
  ...[
    '-',
    '--',
    '"',
    "'",
    '\\',
    '%',
    '$',
    '{',
    '}',
    '[',
    ']',
    '#',
    '|',
    '*',
    '?',
    '\u00a0',
    '\ufeff',
  ],
  ...[
    '\u2028',
    '\ud800',
    'ü',
    '😀',
    'null',
    'true',
    '__proto__',
    'constructor',
    'toString',
    '.wh.',
  ],
  ...['.wh..wh..opq', 'a'.repeat(300), '/a'.repeat(200), '('.repeat(64), 'a,'.repeat(100)],
];
const BYTES = [0, 1, 9, 10, 13, 32, 34, 44, 46, 47, 48, 58, 61, 92, 127, 128, 192, 254, 255];

export interface MutationSource {
  readonly random: Random;
  /** Valid inputs to take pieces from. */
  readonly samples: readonly Buffer[];
  /** Words that have a meaning for the parser. */
  readonly words?: readonly string[] | undefined;
}

type Change = (bytes: Buffer, source: MutationSource) => Buffer;

const changes: readonly Change[] = [
  // Change one bit or byte.
  (bytes, { random }) => {
    const at = random.below(bytes.length);
    return replace(bytes, at, at + 1, Buffer.from([(bytes[at] ?? 0) ^ (1 << random.below(8))]));
  },
  (bytes, { random }) => {
    const at = random.below(bytes.length);
    return replace(bytes, at, at + 1, Buffer.from([random.pick(BYTES)]));
  },
  // Insert, delete or overwrite bytes.
  (bytes, { random }) => {
    const at = random.below(bytes.length + 1);
    return replace(bytes, at, at, random.bytes(1 + random.below(8)));
  },
  (bytes, source) => {
    const at = source.random.below(bytes.length + 1);
    return replace(bytes, at, at, wordOf(source));
  },
  (bytes, source) => {
    const at = source.random.below(bytes.length + 1);
    const word = wordOf(source);
    return replace(bytes, at, at + word.length, word);
  },
  (bytes, { random }) => {
    const [from, to] = rangeOf(bytes, random);
    return replace(bytes, from, to, Buffer.alloc(0));
  },
  (bytes, { random }) => bytes.subarray(0, random.below(bytes.length + 1)),
  (bytes, { random }) => bytes.subarray(random.below(bytes.length + 1)),
  // Repeat bytes.
  (bytes, { random }) => {
    const [from, to] = rangeOf(bytes, random);
    const at = random.below(bytes.length + 1);
    return replace(bytes, at, at, bytes.subarray(from, to));
  },
  (bytes, { random }) => {
    const [from, to] = rangeOf(bytes, random);
    const piece = bytes.subarray(from, Math.min(to, from + 64));
    const times = 1 + random.below(random.chance(0.1) ? 2000 : 20);
    return replace(bytes, to, to, Buffer.concat(Array(times).fill(piece)));
  },
  // Copy a piece of another input.
  (bytes, { random, samples }) => {
    const other = random.pick(samples);
    const [from, to] = rangeOf(other, random);
    const [start, end] = rangeOf(bytes, random);
    return replace(bytes, start, end, other.subarray(from, to));
  },
  // Change a number.
  (bytes, { random }) => {
    const text = bytes.toString('latin1');
    const found = [...text.matchAll(/-?\d+/g)];
    if (found.length === 0) return bytes;
    const match = random.pick(found);
    const number = Buffer.from(random.pick(NUMBERS));
    return replace(bytes, match.index, match.index + match[0].length, number);
  },
];

/** The sample with one to five changes. */
export function mutateBytes(sample: Buffer, source: MutationSource): Buffer {
  const { random } = source;
  let bytes = sample;
  for (let count = 1 + random.below(MAX_CHANGES); count > 0; count--) {
    bytes = random.pick(changes)(bytes, source).subarray(0, MAX_BYTES);
  }
  return bytes;
}

function wordOf({ random, words = [] }: MutationSource): Buffer {
  const own = words.length > 0 && random.chance(0.6);
  return Buffer.from(own ? random.pick(words) : random.pick(random.chance(0.3) ? NUMBERS : WORDS));
}

function rangeOf(bytes: Buffer, random: Random): readonly [number, number] {
  const from = random.below(bytes.length + 1);
  const longest = random.chance(0.7) ? 16 : bytes.length;
  return [from, Math.min(bytes.length, from + random.below(longest + 1))];
}

const replace = (bytes: Buffer, from: number, to: number, by: Buffer): Buffer =>
  Buffer.concat([bytes.subarray(0, from), by, bytes.subarray(Math.min(to, bytes.length))]);
