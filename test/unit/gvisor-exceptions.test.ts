/** The list of what does not run on gVisor: every entry names a test that there is, and docs/security.md has them all. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { GVISOR_EXCEPTIONS } from '../gvisor/support/gvisor-exceptions.ts';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

test.each(GVISOR_EXCEPTIONS)('$file: $test', ({ file, test: name, reason }) => {
  expect(read(`../e2e/${file}.test.ts`)).toContain(`'${name}'`);
  const suite = new URL(`../gvisor/${file}.test.ts`, import.meta.url);
  expect(
    existsSync(suite) || existsSync(new URL(`../gvisor/${file}.full.test.ts`, import.meta.url)),
  ).toBe(true);
  expect(read('../../docs/security.md')).toContain(
    `| \`${file}\`: ${name.replaceAll('|', '\\|')} | ${reason} |`,
  );
});

test('a name stands for one test', () => {
  const names = GVISOR_EXCEPTIONS.map(({ test: name }) => name);
  expect(new Set(names).size).toBe(names.length);
});
