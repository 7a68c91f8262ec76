/** Debian's package list, sound and damaged. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffPackages, parseDpkgStatus } from '../../src/store/diff/dpkg-status.ts';

const stanza = (fields: Readonly<Record<string, string>>) =>
  Object.entries(fields)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('');

const INSTALLED = 'install ok installed';

describe('parseDpkgStatus', () => {
  it('reads installed packages with version and size', () => {
    const text = [
      stanza({ Package: 'a', Status: INSTALLED, 'Installed-Size': '12', Version: '1.0-1' }),
      `${stanza({ Package: 'b', Status: INSTALLED, Version: '2:3' })}Description: b\n Version: 9\n\tmore\n`,
    ].join('\n');
    expect([...parseDpkgStatus(text)]).toEqual([
      ['a', { version: '1.0-1', bytes: 12_288 }],
      ['b', { version: '2:3', bytes: 0 }],
    ]);
  });

  it.each([
    [
      'removed, configuration left',
      { Package: 'a', Status: 'deinstall ok config-files', Version: '1' },
    ],
    ['half installed', { Package: 'a', Status: 'install ok half-installed', Version: '1' }],
    ['without a version', { Package: 'a', Status: INSTALLED }],
    ['without a name', { Status: INSTALLED, Version: '1' }],
    ['without a status', { Package: 'a', Version: '1' }],
  ])('leaves out a package that is %s', (_, fields) => {
    expect(parseDpkgStatus(stanza(fields)).size).toBe(0);
  });

  it('distinguishes the architectures of a package', () => {
    const one = { Package: 'libc6', Status: INSTALLED, Version: '1' };
    const text = `${stanza({ ...one, Architecture: 'amd64' })}\n${stanza({ ...one, Architecture: 'i386' })}`;
    expect([...parseDpkgStatus(text).keys()]).toEqual(['libc6', 'libc6:i386']);
  });

  it.each(['-5', '1e400', 'many', '99999999999999999999'])('reports size %s as unknown', (size) => {
    const text = stanza({ Package: 'a', Status: INSTALLED, Version: '1', 'Installed-Size': size });
    expect(parseDpkgStatus(text).get('a')?.bytes).toBe(0);
  });

  it('never throws, and returns every package that is written', () => {
    fc.assert(fc.property(fc.string(), (text) => parseDpkgStatus(text) instanceof Map));
    const word = fc.stringMatching(/^[a-z0-9][a-z0-9+.-]{1,20}$/);
    fc.assert(
      fc.property(fc.dictionary(word, word), (versions) => {
        const text = Object.entries(versions)
          .map(([Package, Version]) => stanza({ Package, Status: INSTALLED, Version }))
          .join('\n');
        const parsed = [...parseDpkgStatus(text)].map(([name, { version }]) => [name, version]);
        expect(Object.fromEntries(parsed)).toEqual({ ...versions });
      }),
    );
  });
});

it('diffPackages names the packages that were added, removed and changed, and no others', () => {
  const of = (versions: Readonly<Record<string, string>>) =>
    new Map(Object.entries(versions).map(([name, version]) => [name, { version, bytes: 1 }]));
  const before = of({ same: '1', old: '1', up: '1' });
  const after = of({ same: '1', up: '2', new: '1' });
  expect(diffPackages(before, after)).toEqual([
    { name: 'new', change: 'added', before: null, after: { version: '1', bytes: 1 } },
    { name: 'old', change: 'removed', before: { version: '1', bytes: 1 }, after: null },
    {
      name: 'up',
      change: 'changed',
      before: { version: '1', bytes: 1 },
      after: { version: '2', bytes: 1 },
    },
  ]);
  expect(diffPackages(after, after)).toEqual([]);
});
