/** A program of the host is found as a shell would find it, or is an error that names its package. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, expect, it } from 'vitest';
import { findProgram } from '../../src/layers/find-program.ts';

const folder = mkdtempSync(`${tmpdir()}/stackshim-programs-`);
afterAll(() => rmSync(folder, { recursive: true }));

it('looks in PATH first, then where programs of the system lie', () => {
  writeFileSync(`${folder}/sh`, '');
  chmodSync(`${folder}/sh`, 0o755);
  expect(findProgram('sh', { package: 'dash', path: folder })).toBe(`${folder}/sh`);
  expect(findProgram('sh', { package: 'dash', path: undefined })).toMatch(/^\/(usr\/)?bin\/sh$/);
  expect(findProgram('sh', { package: 'dash', path: 'relative:' })).toMatch(/^\/(usr\/)?bin\/sh$/);
});

it('passes over what cannot be executed', () => {
  writeFileSync(`${folder}/cat`, '');
  chmodSync(`${folder}/cat`, 0o644);
  expect(findProgram('cat', { package: 'coreutils', path: folder })).not.toContain(folder);
});

it('names the package of one that is missing', () => {
  expect(() => findProgram('no-such-program', { package: 'some-package', path: folder })).toThrow(
    expect.objectContaining({
      code: 'ERR_STACKSHIM_TOOL_MISSING',
      kind: 'unavailable',
      hint: 'install it: apt-get install some-package',
      details: { program: 'no-such-program', package: 'some-package' },
    }),
  );
});
