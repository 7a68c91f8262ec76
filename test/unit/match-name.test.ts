/** The patterns of outputs. */
import { expect, it } from 'vitest';
import { toByteString } from '../../src/archive/tar-entry.ts';
import { toMatcher } from '../../src/task/outputs/match-name.ts';

const isMatch = (pattern: string, name: string) =>
  toMatcher(toByteString(pattern))(toByteString(name));

it.each([
  ['*', 'a', '.a'],
  ['.*', '.a', 'a'],
  ['*.log', 'x.log', 'x.logs'],
  ['a*b*c', 'a-b-b-c', 'a-c-b'],
  ['**', 'any', '.any'],
  ['a?c', 'aéc', 'aébc'],
  ['???', 'äöü', 'äö'],
  ['[a-c]1', 'b1', 'd1'],
  ['[!a-c]1', 'd1', 'b1'],
  ['[^a]', 'b', 'a'],
  ['[]x]', ']', 'y'],
  ['[a-]', '-', 'b'],
  ['[äö]', 'ö', 'ü'],
  ['[z-a]*', 'never]', 'm'],
  ['[a', '[a', 'a'],
  ['a.b', 'a.b', 'axb'],
  ['*a', 'aa', 'ab'],
])('%s', (pattern, matching, other) => {
  expect(isMatch(pattern, matching)).toBe(pattern !== '[z-a]*');
  expect(isMatch(pattern, other)).toBe(false);
});

it('a byte that is no UTF-8 is a character', () => {
  expect(toMatcher('a?')('a\xff')).toBe(true);
  expect(toMatcher('a?')('a\x80\x80')).toBe(false);
});

it('the number of steps does not grow with the number of stars', () => {
  // By a regular expression, this would not end today.
  expect(isMatch(`${'*-'.repeat(12)}*.log`, '-'.repeat(255))).toBe(false);
  expect(isMatch(`${'*?'.repeat(60)}x`, 'é'.repeat(120))).toBe(false);
});
