/** Decisions of the set-up: the mirror for apt, whether a runc counts as patched, whether npm packages are complete. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  findMirror,
  formatSource,
  parseDeb822Sources,
  parseOneLineSources,
} from '../../scripts/steps/apt-sources.mjs';
import { hashContents } from '../../scripts/steps/content-hash.mjs';
import { matchesLockfile } from '../../scripts/steps/npm-packages.mjs';
import { isPatchedRunc } from '../../scripts/steps/runc-version.mjs';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stackshim-setup-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function write(name: string, text: string): void {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), text);
}

describe('apt sources', () => {
  it('are read from the one-line format, with options and without comments', () => {
    const text = [
      '# deb http://old.example/debian trixie main',
      'deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] http://a.example/debian trixie main contrib # ours',
      'deb-src http://a.example/debian trixie main',
      '  deb http://b.example/debian trixie-updates main',
    ].join('\n');
    expect(parseOneLineSources(text)).toEqual([
      {
        uri: 'http://a.example/debian',
        suites: ['trixie'],
        components: ['main', 'contrib'],
        signedBy: '/usr/share/keyrings/a.gpg',
      },
      {
        uri: 'http://b.example/debian',
        suites: ['trixie-updates'],
        components: ['main'],
        signedBy: undefined,
      },
    ]);
  });

  it('are read from stanzas: several values, comments, an inline key, a disabled source', () => {
    const key =
      ' -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEY\n -----END PGP PUBLIC KEY BLOCK-----';
    const text = [
      '# the main one',
      'Types: deb deb-src',
      'URIs: http://a.example/debian https://b.example/debian',
      'Suites: trixie trixie-updates',
      '# a comment inside',
      'Components: main',
      `Signed-By:\n${key}`,
      '',
      'Enabled: no',
      'Types: deb',
      'URIs: http://c.example/debian',
      'Suites: trixie',
      'Components: main',
    ].join('\n');
    const found = parseDeb822Sources(text);
    expect(found.map(({ uri }) => uri)).toEqual([
      'http://a.example/debian',
      'https://b.example/debian',
    ]);
    expect(found[0]).toMatchObject({ suites: ['trixie', 'trixie-updates'], signedBy: `\n${key}` });
  });

  it('contain the mirror of this release, not the security archive, a disc or a foreign repository', () => {
    write('sources.list', 'deb cdrom:[Debian]/ trixie main\n');
    write('sources.list.d/a.list', 'deb http://vendor.example/apt stable main\n');
    write(
      'sources.list.d/b.sources',
      'Types: deb\nURIs: http://s.example/debian-security\nSuites: trixie-security\nComponents: main\n\nTypes: deb\nURIs: http://m.example/debian\nSuites: trixie\nComponents: main\nSigned-By: /k.pgp\n',
    );
    write(
      'sources.list.d/c.sources.save',
      'Types: deb\nURIs: http://old.example\nSuites: trixie\nComponents: main\n',
    );
    const mirror = findMirror('trixie', folder);
    expect(mirror?.uri).toBe('http://m.example/debian');
    expect(findMirror('bookworm', folder)).toBeUndefined();
    expect(findMirror('trixie', join(folder, 'none'))).toBeUndefined();
  });

  it('are written as one stanza for another suite with the same key', () => {
    const mirror = { uri: 'http://m/debian', suites: ['trixie'], components: ['main'] };
    expect(formatSource({ ...mirror, signedBy: '/k.pgp' }, 'forky')).toBe(
      'Types: deb\nURIs: http://m/debian\nSuites: forky\nComponents: main\nSigned-By: /k.pgp\n',
    );
    expect(formatSource({ ...mirror, signedBy: undefined }, 'forky')).not.toContain('Signed-By');
  });
});

describe('isPatchedRunc', () => {
  it.each(['1.2.8', '1.2.9+ds1', '1.3.3', '1.3.6+ds1', '1.4.0-rc.3', '1.4.0', '1.10.0', '2.0.0'])(
    'accepts %s',
    (version) => {
      expect(isPatchedRunc(version)).toBe(true);
    },
  );

  it.each(['1.1.15+ds1', '1.2.7', '1.3.2', '1.4.0-rc.1', '1.4.0-rc.2', '0.9.9', '', 'unknown'])(
    'refuses "%s"',
    (version) => {
      expect(isPatchedRunc(version)).toBe(false);
    },
  );
});

describe('matchesLockfile', () => {
  const lock = (packages: object) => JSON.stringify({ packages });
  const wanted = {
    '': { name: 'a' },
    'node_modules/b': { version: '1.0.0' },
    'node_modules/c': { version: '2.0.0', optional: true },
  };

  it.each([
    [
      'all there',
      { 'node_modules/b': { version: '1.0.0' }, 'node_modules/c': { version: '2.0.0' } },
      true,
    ],
    ['an optional package missing', { 'node_modules/b': { version: '1.0.0' } }, true],
    ['another version', { 'node_modules/b': { version: '1.0.1' } }, false],
    ['one missing', {}, false],
  ])('%s', (_title, installed, matches) => {
    write('package-lock.json', lock(wanted));
    write('node_modules/.package-lock.json', lock(installed));
    expect(matchesLockfile(folder)).toBe(matches);
  });

  it('does not match an interrupted installation, which has no list', () => {
    write('package-lock.json', lock(wanted));
    expect(matchesLockfile(folder)).toBe(false);
  });
});

describe('hashContents', () => {
  it('changes with a byte, a name and a new file, and with nothing else', () => {
    write('src/a.ts', 'a');
    write('src/deep/b.ts', 'b');
    const inputs = ['src', 'missing', 'one.json'];
    const first = hashContents(folder, inputs);
    write('src/a.ts', 'a');
    expect(hashContents(folder, inputs)).toBe(first);
    write('src/a.ts', 'A');
    const second = hashContents(folder, inputs);
    write('one.json', '{}');
    const third = hashContents(folder, inputs);
    expect(new Set([first, second, third]).size).toBe(3);
  });
});
