/** Programs of the host are searched in system directories, whatever PATH the caller has; a missing one gives an error that names its package. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, afterEach, expect, it } from 'vitest';
import { findProgram } from '../../src/sys/find-program.ts';

const folder = mkdtempSync(`${tmpdir()}/stackshim-programs-`);
const { PATH } = process.env;
afterEach(() => {
  process.env['PATH'] = PATH;
});
afterAll(() => rmSync(folder, { recursive: true }));

function writeProgram(path: string, mode: number): void {
  writeFileSync(path, '');
  chmodSync(path, mode);
}

it('PATH is not used', () => {
  writeProgram(`${folder}/sh`, 0o755);
  process.env['PATH'] = folder;
  expect(findProgram('sh', { package: 'dash' })).toMatch(/^\/(usr\/)?bin\/sh$/);
});

it('a file that is not executable is skipped', () => {
  const [first, second] = [`${folder}/first`, `${folder}/second`];
  for (const path of [first, second]) mkdirSync(path, { mode: 0o755 });
  writeProgram(`${first}/tool`, 0o644);
  writeProgram(`${second}/tool`, 0o755);
  const folders = [`${folder}/missing`, first, second];
  expect(findProgram('tool', { package: 'tools', folders })).toBe(`${second}/tool`);
});

it('a program that other users may write is refused', () => {
  writeProgram(`${folder}/shared`, 0o777);
  expect(() => findProgram('shared', { package: 'tools', folders: [folder] })).toThrow(
    expect.objectContaining({
      code: 'ERR_STACKSHIM_PATH_UNTRUSTED',
      kind: 'unavailable',
      details: { path: `${folder}/shared`, fault: `${folder}/shared` },
    }),
  );
});

it('a missing program is reported with its package', () => {
  expect(() => findProgram('no-such-program', { package: 'some-package' })).toThrow(
    expect.objectContaining({
      code: 'ERR_STACKSHIM_TOOL_MISSING',
      kind: 'unavailable',
      hint: 'install the package: apt-get install some-package',
      details: { program: 'no-such-program', package: 'some-package' },
    }),
  );
});
