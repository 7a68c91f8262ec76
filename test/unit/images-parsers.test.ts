/** Parsers of Dockerfiles, labels, release files and apt's configuration: pure functions of text. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMirrors, parseReleaseDate, toSources } from '../../src/build/build-rootfs.ts';
import { parseBaseDefinition, parseDockerfile } from '../../src/build/stack-source.ts';
import { parseSmokeLabel, parseSmokeOption } from '../../src/exchange/smoke.ts';
import { toNearNames } from '../../src/store/stacks/near-names.ts';
import { imageOf } from '../support/stacks/stack-store.ts';

const withSmoke = (smoke?: string) => {
  const image = imageOf('any');
  const labels = smoke === undefined ? {} : { 'io.stackshim.smoke': smoke };
  return { ...image, config: { ...image.config, labels } };
};

describe('parseDockerfile', () => {
  it.each([
    ['FROM localhost/debian-13', 'debian-13'],
    ['# a comment\nARG x=1\nFROM localhost/debian-13:latest AS y\nRUN true', 'debian-13'],
    ['FROM --platform=linux/amd64 localhost/debian-13', 'debian-13'],
    ['from localhost/debian-13', 'debian-13'],
    [
      'FROM localhost/gcc-14 AS made\nFROM localhost/debian-13\nCOPY --from=made /a /a',
      'debian-13',
    ],
    ['FROM scratch', undefined],
    ['FROM localhost/debian-13\nFROM scratch', undefined],
    ['FROM docker.io/library/debian', undefined],
    ['FROM localhost/a/b', undefined],
    ['FROM localhost/..', undefined],
    ['FROM localhost/debian-13:old', undefined],
    ['RUN echo FROM localhost/debian-13', undefined],
    ['', undefined],
  ])('%j is based on %s', (dockerfile, base) => {
    expect(parseDockerfile(dockerfile).base).toBe(base);
  });

  it.each([
    ['FROM localhost/a\nFROM localhost/b\nFROM localhost/a', ['a', 'b'], 'a'],
    ['FROM localhost/a AS Made\nRUN true\nFROM made', ['a'], 'a'],
    ['FROM localhost/a\nCOPY --chmod=755 --from=localhost/b /x /x', ['a', 'b'], 'a'],
    [
      'FROM localhost/a\nRUN --mount=type=bind,from=localhost/c:latest,target=/c true',
      ['a', 'c'],
      'a',
    ],
    ['FROM scratch\nCOPY --from=shared x /x', [], undefined],
    ['# FROM localhost/a\nFROM scratch', [], undefined],
  ])('%j names %j', (dockerfile, all, base) => {
    expect(parseDockerfile(dockerfile)).toEqual({ all, base });
  });
});

describe('parseSmokeLabel', () => {
  it('accepts an array as it is, and any other text as a line for the shell', () => {
    expect(parseSmokeLabel(withSmoke('["a", "b c", ""]'))).toEqual(['a', 'b c', '']);
    expect(parseSmokeLabel(withSmoke(' ruby -e 1 && true'))).toEqual([
      '/bin/sh',
      '-c',
      'ruby -e 1 && true',
    ]);
  });

  it.each([undefined, '', '  ', '[', '[]', '[1]', '["a", null]', '[["a"]]', '["a"'])(
    'refuses %j',
    (label) => {
      expect(() => parseSmokeLabel(withSmoke(label))).toThrow(
        expect.objectContaining({ code: 'ERR_STACKSHIM_BUILD_FAILED' }),
      );
    },
  );

  it('distinguishes the label from a caller’s command', () => {
    expect(parseSmokeOption('["a"]')).toEqual(['a']);
    for (const text of ['', ' ', '[1', '[]']) {
      expect(() => parseSmokeOption(text)).toThrow(
        expect.objectContaining({
          code: 'ERR_STACKSHIM_SPEC_INVALID',
          details: { field: 'smoke' },
        }),
      );
    }
  });

  it('returns a command or its own error, for any label', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (label) => {
        try {
          const command = parseSmokeLabel(withSmoke(label));
          expect(command.length).toBeGreaterThan(0);
          expect(command.every((word) => typeof word === 'string')).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_STACKSHIM_BUILD_FAILED' });
        }
      }),
    );
  });
});

describe('parseBaseDefinition', () => {
  const debian = { suite: 'trixie', include: ['netbase'], dpkg: ['path-exclude=/usr/share/man/*'] };
  const parse = (value: unknown) => parseBaseDefinition(JSON.stringify(value), '/overlay/base/x');

  it('accepts a Debian release', () => {
    expect(parse({ version: 1, debian })).toEqual({ version: 1, debian });
  });

  it.each([
    [{ debian }],
    [{ version: 1 }],
    [{ version: 2, debian }],
    [{ version: 1, debian: { ...debian, suite: '--hook=x' } }],
    [{ version: 1, debian: { ...debian, suite: 'a b' } }],
    [{ version: 1, debian: { ...debian, include: ['a,b'] } }],
    [{ version: 1, debian: { ...debian, include: ['./local.deb'] } }],
    [{ version: 1, debian: { ...debian, dpkg: ['force-unsafe-io'] } }],
    [{ version: 1, debian: { ...debian, mirror: 'x' } }],
    [[]],
    [null],
  ])('refuses %j', (value) => {
    expect(() => parse(value)).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_BUILD_FAILED' }),
    );
  });
});

describe('the archive', () => {
  it('has the date of its release file', () => {
    const release = 'Origin: Debian\nDate: Sat, 21 Nov 2026 09:15:44 UTC\nAcquire-By-Hash: yes\n';
    expect(parseReleaseDate(release)).toBe(Date.UTC(2026, 10, 21, 9, 15, 44) / 1000);
    expect(parseReleaseDate('Origin: Debian\n')).toBeUndefined();
    expect(parseReleaseDate('Date: whenever\n')).toBeUndefined();
  });

  it('is the mirror that the host uses', () => {
    const targets = [
      'elsewhere|elsewhere|file:/srv/packages',
      'Debian|Debian|http://mirror.test/debian/',
      'Debian|Debian-Security|https://mirror.test/security/',
    ];
    const mirrors = parseMirrors(targets.join('\n'));
    expect(toSources('trixie', mirrors)).toEqual([
      'deb http://mirror.test/debian/ trixie main',
      'deb http://mirror.test/debian/ trixie-updates main',
      'deb https://mirror.test/security/ trixie-security main',
    ]);
    expect(parseMirrors(targets.slice(0, 2).join('\n'))?.security).toBeUndefined();
  });

  it.each([
    '',
    'Debian|Debian|file:/srv/debian',
    'Debian|Debian|cdrom:[x]/',
    'Ubuntu|Ubuntu|http://mirror.test/ubuntu/',
    'Debian|Debian|http://mirror.test/a b',
  ])('is left to mmdebstrap if the host has %j', (targets) => {
    expect(toSources('trixie', parseMirrors(targets))).toEqual([]);
  });
});

describe('toNearNames', () => {
  const names = ['python-3.13', 'python-3.11', 'ruby-3.3', 'node-20', 'constructor'];

  it.each([
    ['pyhton-3.13', ['python-3.13', 'python-3.11']],
    ['python', ['python-3.11', 'python-3.13']],
    ['python-2.7', ['python-3.11', 'python-3.13']],
    ['ruby-3', ['ruby-3.3']],
    ['node-22', ['node-20']],
    ['zsh', []],
  ])('suggests for %s: %j', (wanted, near) => {
    expect(toNearNames(wanted, names)).toEqual(near);
  });

  it('suggests at most three names, all of them existing', () => {
    fc.assert(
      fc.property(fc.string(), fc.array(fc.string()), (wanted, all) => {
        const near = toNearNames(wanted, all);
        expect(near.length).toBeLessThanOrEqual(3);
        expect(near.every((name) => all.includes(name))).toBe(true);
      }),
    );
  });
});
