/** Code packages made to reach outside, to deceive a reader, or to leave something: a typed error, and nothing stored. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, it } from 'vitest';
import { openStackshim } from '../../src/index.ts';
import { buildTar, type RawEntry } from '../support/images/tar-builder.ts';
import { buildZip } from '../support/images/zip-builder.ts';
import { STORED, useInstallation } from '../support/installation/installation.ts';

const installation = useInstallation([STORED]);
const { layout, options } = installation;
const { code } = openStackshim(options);
const folder = mkdtempSync('/var/tmp/stackshim-packages-');
afterAll(() => rmSync(folder, { recursive: true }));

const listed = (name: string) => {
  try {
    return readdirSync(join(layout.root, name)).sort();
  } catch {
    return [];
  }
};
const stored = () => ['layers', 'images', 'packages', 'tmp'].map(listed);

const main: RawEntry = { path: 'main', content: 'x' };
const settings = (value: object): RawEntry => ({
  path: 'stackshim.json',
  content: JSON.stringify(value),
});
const own = { stack: 'busybox', command: ['true'] };

const INVALID = 'ERR_STACKSHIM_CODE_INVALID';
const UNFIT = 'ERR_STACKSHIM_PACKAGE_INVALID';

type Hostile = readonly [string, string, readonly RawEntry[], object?];

const archives: readonly Hostile[] = [
  ['a name with ..', INVALID, [{ path: '../x', content: 'x' }]],
  ['an absolute name', INVALID, [{ path: '/x', content: 'x' }]],
  ['a device', INVALID, [{ path: 'null', type: '3' }]],
  ['a named pipe in the place of the settings', INVALID, [{ path: 'stackshim.json', type: '6' }]],
  ['a link that leads outside', INVALID, [{ path: 'a', type: '2', link: '/etc/shadow' }]],
  ['a deletion', INVALID, [{ path: '.wh.main' }]],
  ['an opaque marker', INVALID, [{ path: 'lib/.wh..wh..opq' }]],
  [
    'a link in the place of the settings',
    INVALID,
    [main, { path: 'stackshim.json', type: '2', link: 'main' }],
  ],
  [
    'a hard link in the place of the settings',
    INVALID,
    [main, { path: 'stackshim.json', type: '1', link: 'main' }],
  ],
  ['settings that come twice', INVALID, [settings(own), settings(own)]],
  [
    'settings under another spelling of their name',
    UNFIT,
    [main, { ...settings({ tenant: 'b' }), path: './stackshim.json' }],
  ],
  ['settings with a mount', UNFIT, [settings({ ...own, volumes: ['/:/host'] })]],
  ['settings with a build on the network', UNFIT, [settings({ ...own, buildNetwork: 'host' })]],
  ['settings with a file of the host', UNFIT, [settings({ ...own, configFile: '/etc/shadow' })]],
  [
    'settings that set a prototype',
    UNFIT,
    [{ path: 'stackshim.json', content: '{"env": {"__proto__": "x"}}' }],
  ],
  [
    'files of the build outside of the code',
    UNFIT,
    [settings({ ...own, build: 'true', buildFrom: ['../../etc'] })],
  ],
  [
    'files of the build behind a link',
    'ERR_STACKSHIM_SPEC_INVALID',
    [{ path: 'etc', type: '2', link: 'main' }, main],
    { ...own, build: 'cat etc/passwd', buildFrom: ['etc/passwd'] },
  ],
  [
    'files of the build that are links to others',
    INVALID,
    [main, { path: 'lock', type: '1', link: 'main' }],
    { ...own, build: 'true', buildFrom: ['lock'] },
  ],
  [
    'a build that leaves names of an overlay',
    'ERR_STACKSHIM_TASK_BUILD_FAILED',
    [main],
    { ...own, build: 'touch .wh.main' },
  ],
];

const hostile = archives.map(([name, expected, entries, given = {}]) => ({
  ...{ name, expected, entries, given },
}));

it.each(hostile)('$name is refused', async ({ expected, entries, given }) => {
  const before = stored();
  const path = join(folder, 'code.tar.gz');
  writeFileSync(path, gzipSync(buildTar(...entries)));
  await expect(code.add('hostile', path, given)).rejects.toMatchObject({ code: expected });
  expect(stored()).toEqual(before);
  expect(await code.list({ all: true })).toEqual([]);
});

it('a zip with a wrong checksum is refused', async () => {
  const before = stored();
  const path = join(folder, 'code.zip');
  const zip = buildZip({ name: 'main', content: 'x', crc: 7 });
  writeFileSync(path, zip);
  await expect(code.add('hostile', path)).rejects.toMatchObject({ code: INVALID });
  expect(stored()).toEqual(before);
});

it.each(['', '.', '..', 'a/b', '../a', 'A', 'a@rev:1', 'a.zip', 'a\0', 'a'.repeat(64)])(
  'the name %j is refused',
  async (name) => {
    const invalid = { code: 'ERR_STACKSHIM_SPEC_INVALID', details: { field: 'name' } };
    await expect(code.add(name, folder)).rejects.toMatchObject(invalid);
  },
);

it.each(['', '.', '..', '_', 'a/b', '-a', 'a\0', '../_'])(
  'the tenant %j is refused',
  async (tenant) => {
    const invalid = { code: 'ERR_STACKSHIM_SPEC_INVALID', details: { field: 'tenant' } };
    for (const ask of [code.add('a', folder, { tenant }), code.resolve('a', { tenant })]) {
      await expect(ask).rejects.toMatchObject(invalid);
    }
  },
);
