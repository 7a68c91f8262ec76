/** Versions of stored files, and of the program that writes them. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { PROGRAM_VERSION, refuseNewer } from '../../src/core/format-version.ts';

const format = { what: 'task record', newest: 2 };
const expectRefused = (value: unknown, error: object) =>
  expect(() => refuseNewer('/file', value, format)).toThrow(expect.objectContaining(error));

it('the program knows the version of its package', () => {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  expect(PROGRAM_VERSION).toBe(manifest.version);
});

it.each([{ version: 1 }, { version: 2 }, { version: '3' }, {}, null, 7, [], 'text'])(
  'a version that is not newer is left to the reader: %j',
  (value) => {
    expect(refuseNewer('/file', value, format)).toBeUndefined();
  },
);

it('a newer version is refused with its number and its writer', () => {
  expectRefused(
    { version: 3, writtenBy: '1.2.0', other: 1 },
    {
      code: 'ERR_STACKSHIM_FORMAT_NEWER',
      message: `read task record /file: version 3, written by stackshim 1.2.0; stackshim ${PROGRAM_VERSION} reads up to version 2`,
      hint: 'use stackshim 1.2.0 or a newer one',
      details: { path: '/file', version: 3, newest: 2, writtenBy: '1.2.0' },
    },
  );
});

it('a writer of the same number, from another checkout, is not advised: it is this program', () => {
  expectRefused(
    { version: 3, writtenBy: PROGRAM_VERSION },
    { hint: 'use the stackshim that wrote the file, or a newer one' },
  );
});

it.each([undefined, 7, 'a b', '\u001b[2J', 'x'.repeat(65)])(
  'a writer that is not a version is not reported: %j',
  (writtenBy) => {
    expectRefused(
      { version: 3, writtenBy },
      {
        message: `read task record /file: version 3; stackshim ${PROGRAM_VERSION} reads up to version 2`,
        hint: 'use the stackshim that wrote the file, or a newer one',
      },
    );
  },
);
