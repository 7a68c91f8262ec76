/** The stacks of overlay/ and `npm run stacks:all`: choice, vanished packages, the table. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findVanishedPackages } from '../../scripts/steps/build-stack.mjs';
import { chooseStackFolders, listStackFolders } from '../../scripts/steps/stack-folders.mjs';
import { formatReport } from '../../scripts/steps/stacks-report.mjs';
import { programFolder } from '../../scripts/steps/test-stack.mjs';

const folders = listStackFolders();
const stacks = folders.filter(({ base }) => base !== undefined);

describe('overlay/', () => {
  it('has three bases and the stacks on them, bases first', () => {
    const bases = folders.filter(({ base }) => base === undefined).map(({ name }) => name);
    expect(bases).toEqual(['debian-11', 'debian-12', 'debian-13']);
    expect(folders.slice(0, 3).map(({ name }) => name)).toEqual(bases);
    for (const { base } of stacks) expect(bases).toContain(base);
    expect(stacks.length).toBeGreaterThanOrEqual(28);
  });

  it.each(stacks)('$name describes itself, and has an example and test programs', (stack) => {
    const dockerfile = readFileSync(`${stack.path}/Dockerfile`, 'utf8');
    expect(dockerfile).toMatch(/^LABEL io\.stackshim\.description="/m);
    expect(dockerfile).toMatch(/^LABEL io\.stackshim\.smoke='/m);
    expect(dockerfile).toMatch(/^CMD \["/m);
    for (const program of ['run', 'library']) {
      expect(existsSync(`${programFolder(stack.name)}/${program}`), program).toBe(true);
    }
  });

  it('is listed in the documentation, each stack once', () => {
    const documented = readFileSync(new URL('../../docs/stacks.md', import.meta.url), 'utf8');
    const missing = stacks.filter(({ name }) => !documented.includes(`\`${name}\``));
    expect(missing.map(({ name }) => name)).toEqual([]);
  });
});

describe('chooseStackFolders', () => {
  it('includes the base of a stack', () => {
    const chosen = chooseStackFolders(folders, ['ruby-2.7', 'node-24']);
    expect(chosen.map(({ name }) => name)).toEqual([
      'debian-11',
      'debian-13',
      'node-24',
      'ruby-2.7',
    ]);
    expect(chooseStackFolders(folders, [])).toEqual(folders);
  });

  it('names stacks that it does not know', () => {
    expect(() => chooseStackFolders(folders, ['ruby-9'])).toThrow(/no such stack.*ruby-9/);
  });
});

describe('findVanishedPackages', () => {
  it.each([
    ['    E: Unable to locate package php7.4-sqlite3', ['php7.4-sqlite3']],
    ["E: Package 'php7.4-bcmath' has no installation candidate", ['php7.4-bcmath']],
    [
      'E: Failed to fetch http://x/pool/main/r/ruby2.7/libruby2.7_2.7.4-1_amd64.deb  404  Not Found',
      ['libruby2.7'],
    ],
    ['E: Sub-process /usr/bin/dpkg returned an error code (1)', []],
  ])('%s', (output, names) => {
    expect(findVanishedPackages(`${output}\n${output}\n`)).toEqual(names);
  });
});

describe('formatReport', () => {
  const built = {
    name: 'a-1',
    revision: 3,
    unchanged: false,
    ownBytes: 1024 ** 2,
    sharedBytes: 2 * 1024 ** 2,
    seconds: 12.34,
    smokeMs: 250,
    layers: ['base', 'own'],
  };

  it('has a row for each stack, and counts a shared layer once', () => {
    const report = formatReport(
      [
        { name: 'a-1', built, testSeconds: 1.5, differences: [] },
        { name: 'b-2', built: { ...built, unchanged: true }, differences: ['/etc/x'] },
        { name: 'c-3', failure: 'the archive no longer has lost' },
      ],
      60,
    );
    const rows = report.split('\n').map((line) => line.split(/ {2,}/));
    expect(rows).toContainEqual([
      'a-1',
      '3',
      '1.0 MiB',
      '2.0 MiB',
      '12.3 s',
      '0.3 s',
      '1.5 s',
      'yes',
    ]);
    expect(rows).toContainEqual([
      'b-2',
      '3',
      '1.0 MiB',
      '2.0 MiB',
      'unchanged',
      '0.3 s',
      '-',
      'no: /etc/x',
    ]);
    expect(rows).toContainEqual(['c-3', '-', '-', '-', '-', '-', 'failed', '-']);
    expect(report).toContain('c-3: the archive no longer has lost');
    expect(report).toContain('2 passed, 1 failed; layers 4.0 MiB; 60.0 s');
  });
});
