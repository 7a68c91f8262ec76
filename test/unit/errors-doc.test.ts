/** docs/errors.md matches the registry of error codes. With UPDATE_DOCS=1 the file is written again. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { errorCodes } from '../../src/core/error-codes.ts';
import { toErrorsDoc } from './support/errors-doc.ts';

const document = new URL('../../docs/errors.md', import.meta.url);

it('docs/errors.md is up to date: UPDATE_DOCS=1 npx vitest run test/unit/errors-doc.test.ts', () => {
  const expected = toErrorsDoc();
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(document, expected);
  expect(readFileSync(document, 'utf8')).toBe(expected);
});

it('docs/errors.md has every code once', () => {
  const rows = [...toErrorsDoc().matchAll(/^\| `(ERR_\w+)` \|/gm)].map(([, code]) => code);
  expect(rows).toEqual(Object.keys(errorCodes));
});

it('docs/errors.md has one line for each code', () => {
  for (const { meaning, hint } of Object.values(errorCodes)) {
    expect(`${meaning}${hint}`).not.toMatch(/[|\n]/);
  }
});
