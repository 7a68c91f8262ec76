/** What a diff says in its summary: versions as dpkg orders them, and counts. */
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { compareDebianVersions } from '../../src/store/diff/compare-versions.ts';
import { summariseDiff } from '../../src/store/diff/summarise-diff.ts';

const VERSIONS = [
  ...['1', '1.0', '1.0-1', '1.0-1+b1', '1.0-1~deb13u1', '1.0~rc1', '1.0~~', '1.0~', '1.00', '1.0a'],
  ...[
    '1:0.9',
    '2:1',
    '0',
    '09',
    '10',
    '9',
    '1.2.3',
    '1.2.10',
    '1.2+dfsg-3',
    '1.2.dfsg-3',
    'a',
    'A',
  ],
  ...[
    '3.13.5-2',
    '3.13.5-2+deb13u1',
    '99999999999999999999',
    '100000000000000000000',
    '1-1-1',
    '1-1',
  ],
];

it('orders versions as dpkg does', () => {
  const script =
    'while read -r a b; do dpkg --compare-versions "$a" lt "$b" 2>/dev/null && echo lt || echo ge; done';
  const pairs = VERSIONS.flatMap((one) => VERSIONS.map((other) => [one, other] as const));
  const input = pairs.map((pair) => `${pair.join(' ')}\n`).join('');
  const answers = execFileSync('sh', ['-c', script], { input, encoding: 'utf8' })
    .trim()
    .split('\n');
  const ours = pairs.map((pair) => (compareDebianVersions(...pair) < 0 ? 'lt' : 'ge'));
  expect(pairs.filter((_, index) => ours[index] !== answers[index])).toEqual([]);
});

it('counts packages and settings by what happened to them', () => {
  const at = (version: string, bytes: number) => ({ version, bytes });
  const changed = { change: 'changed' } as const;
  expect(
    summariseDiff(
      [
        { name: 'a', change: 'added', before: null, after: at('1', 100) },
        { name: 'b', change: 'removed', before: at('1', 30), after: null },
        { name: 'c', ...changed, before: at('1.9', 5), after: at('1.10', 6) },
        { name: 'd', ...changed, before: at('2', 5), after: at('2~rc1', 5) },
      ],
      [{ name: 'user', change: 'added', before: null, after: 'x' }],
    ),
  ).toEqual({
    packages: { added: 1, removed: 1, updated: 1, downgraded: 1, bytes: 71 },
    settings: { added: 1, removed: 0, changed: 0 },
  });
});
