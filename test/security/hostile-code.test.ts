/** Code made to reach outside /task, to fill the disk or to deceive a parser: a typed error, and nothing left. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { CODE_LIMITS } from '../../src/packages/code-policy.ts';
import { packCode } from '../../src/packages/pack-code.ts';
import { openLayerLab } from '../support/images/layer-lab.ts';
import { buildTar, type RawEntry, toBlocks } from '../support/images/tar-builder.ts';
import { buildZip, type RawZipEntry } from '../support/images/zip-builder.ts';
import { workers } from '../support/installation/workers.ts';

const lab = openLayerLab();
afterAll(() => lab.dispose());

const task = `${lab.folder}/task`;
const source = `${lab.folder}/source`;
beforeEach(() => {
  for (const folder of [task, source]) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
  }
});

const pack = (path: string, limits = {}) =>
  packCode(path, `${task}/code.erofs`, { workers, limits: { ...CODE_LIMITS, ...limits } });

async function expectRefused(path: string, message: RegExp): Promise<void> {
  await expect(pack(path)).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_CODE_INVALID',
    kind: 'invalid',
    message: expect.stringMatching(message),
  });
  expect(readdirSync(task)).toEqual([]);
}

function writeArchive(bytes: Buffer): string {
  const path = `${lab.folder}/archive`;
  writeFileSync(path, bytes);
  return path;
}

const tars: readonly (readonly [string, readonly (RawEntry | Buffer)[], RegExp])[] = [
  ['".."', [{ path: '../../etc/cron.d/x', content: 'x' }], /name with "\.\."/],
  ['an absolute name', [{ path: '/etc/passwd', content: 'x' }], /absolute name/],
  ['a character device', [{ path: 'null', type: '3' }], /is a device/],
  ['a block device', [{ path: 'sda', type: '4' }], /is a device/],
  ['a named pipe', [{ path: 'pipe', type: '6' }], /is a named pipe/],
  ['a deletion', [{ path: '.wh.main.py' }], /starts with "\.wh\."/],
  ['an opaque marker', [{ path: 'lib/.wh..wh..opq' }], /starts with "\.wh\."/],
  ['an absolute symbolic link', [{ path: 'a', type: '2', link: '/etc/shadow' }], /leads outside/],
  [
    'a symbolic link that climbs out',
    [{ path: 'a/b', type: '2', link: '../../x' }],
    /leads outside/,
  ],
  [
    'a symbolic link that climbs out and back',
    [{ path: 'a', type: '2', link: 'b/../../task/b' }],
    /leads outside/,
  ],
  ['a hard link that climbs out', [{ path: 'a', type: '1', link: '../x' }], /name with "\.\."/],
  ['an absolute hard link', [{ path: 'a', type: '1', link: '/etc/shadow' }], /absolute name/],
  [
    'a hard link to what .git holds',
    [
      { path: '.git/config', content: 'x' },
      { path: 'a', type: '1', link: '.git/config' },
    ],
    /not a file of this code/,
  ],
  [
    'a name beneath a symbolic link',
    [
      { path: 'a', type: '2', link: 'b' },
      { path: 'a/x', content: 'x' },
    ],
    /lies below/,
  ],
  ['two files with one name', [{ path: 'a' }, { path: 'a' }], /already as a file/],
  ['a sparse file', [{ path: 'a', type: 'S' }], /sparse file/],
];

describe('a tar.gz is refused with', () => {
  it.each(tars)('%s', async (_, entries, message) => {
    await expectRefused(writeArchive(gzipSync(buildTar(...entries))), message);
  });

  it('any part cut off', async () => {
    const whole = gzipSync(buildTar({ path: 'a', content: Buffer.alloc(3000, 'abc') }));
    for (const end of [3, 15, whole.length >> 1, whole.length - 8, whole.length - 1]) {
      await expectRefused(writeArchive(whole.subarray(0, end)), /decompress code|before its end/);
    }
  });

  it('a compression bomb', async () => {
    const size = 300 * 1024 * 1024;
    const bomb = gzipSync(Buffer.concat([toBlocks({ path: 'zeros', size }), Buffer.alloc(size)]));
    await expect(pack(writeArchive(bomb))).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_LAYER_TOO_LARGE',
      details: { limit: 'bytes from each packed byte' },
    });
    expect(readdirSync(task)).toEqual([]);
  });
});

const zips: readonly (readonly [string, readonly RawZipEntry[], RegExp])[] = [
  ['".."', [{ name: '../x', content: 'x' }], /\.\.\/x/],
  ['".." behind a backslash', [{ name: '..\\x', content: 'x' }], /\.\.\/x/],
  ['an absolute name', [{ name: '/etc/passwd', content: 'x' }], /absolute path/],
  ['a drive', [{ name: 'C:/x', content: 'x' }], /absolute path/],
  ['a NUL in a name', [{ name: 'a\0b', content: 'x' }], /NUL/],
  ['an encrypted file', [{ name: 'a', content: 'x', flags: 1 }], /encrypted/],
  ['an unknown compression', [{ name: 'a', content: 'x', method: 99 }], /not known \(99\)/],
  ['a device', [{ name: 'a', mode: 0o020666 }], /is a device/],
  ['a named pipe', [{ name: 'a', mode: 0o010666 }], /is a named pipe/],
  ['a socket', [{ name: 'a', mode: 0o140666 }], /unknown type/],
  ['a deletion', [{ name: '.wh.a' }], /starts with "\.wh\."/],
  ['an absolute symbolic link', [{ name: 'a', mode: 0o120777, content: '/etc' }], /leads outside/],
  [
    'a symbolic link that climbs out',
    [{ name: 'a', mode: 0o120777, content: '../x' }],
    /leads outside/,
  ],
  ['a symbolic link with a NUL', [{ name: 'a', mode: 0o120777, content: 'x\0y' }], /NUL/],
  [
    'an overlong symbolic link',
    [{ name: 'a', mode: 0o120777, content: 'x'.repeat(5000) }],
    /4095 bytes/,
  ],
  ['a folder with content', [{ name: 'a/', content: 'x' }], /with content/],
  ['a wrong checksum', [{ name: 'a', content: 'x', crc: 1 }], /checksum/],
  ['more content than announced', [{ name: 'a', content: 'xyz', uncompressedSize: 1 }], /byte/],
  ['less content than announced', [{ name: 'a', content: 'x', uncompressedSize: 9 }], /byte/],
  [
    'two files with one name',
    [
      { name: 'a', content: '1' },
      { name: 'a', content: '2' },
    ],
    /already as a file/,
  ],
  [
    'a name beneath a symbolic link',
    [
      { name: 'a', mode: 0o120777, content: 'b' },
      { name: 'a/x', content: 'x' },
    ],
    /lies below/,
  ],
];

describe('a zip is refused with', () => {
  it.each(zips)('%s', async (_, entries, message) => {
    await expectRefused(writeArchive(buildZip(...entries)), message);
  });

  it('any part cut off', async () => {
    const whole = buildZip({ name: 'a', content: Buffer.alloc(3000, 'abc') });
    for (const end of [4, 40, whole.length >> 1, whole.length - 10]) {
      await expectRefused(writeArchive(whole.subarray(0, end)), /zip/);
    }
  });

  it('a compression bomb, before it is unpacked', async () => {
    const zeros = Buffer.alloc(1024 * 1024);
    const many = Array.from({ length: 9 }, (_, n) => ({ name: `${n}`, content: zeros }));
    await expect(
      pack(writeArchive(buildZip(...many)), { bytes: 8 * zeros.length }),
    ).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_LAYER_TOO_LARGE',
      details: { limit: 'bytes' },
    });
    const claimed = buildZip({ name: 'a', content: 'x', uncompressedSize: 0x7fff_ffff });
    await expect(pack(writeArchive(claimed))).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_LAYER_TOO_LARGE',
      details: { limit: 'bytes from each packed byte' },
    });
    await expect(pack(writeArchive(buildZip(...many)), { entries: 8 })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_LAYER_TOO_LARGE',
      details: { limit: 'entries' },
    });
    expect(readdirSync(task)).toEqual([]);
  });

  it('any damage is refused or packed', async () => {
    const seed = buildZip(
      { name: 'a/', mode: 0o040755 },
      { name: 'a/b', content: 'content '.repeat(20), mode: 0o100644 },
      { name: 'link', content: 'a/b', mode: 0o120777 },
    );
    const flips = fc.array(fc.tuple(fc.nat(seed.length - 1), fc.nat(255)), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(flips, async (changes) => {
        const bytes = Buffer.from(seed);
        for (const [at, value] of changes) bytes[at] = value;
        const result = await pack(writeArchive(bytes)).catch((error: unknown) => error);
        expect(result).toSatisfy(
          (value: { entries?: number; code?: string }) =>
            value.entries !== undefined ||
            /^ERR_STACKSHIM_(CODE_INVALID|LAYER_TOO_LARGE)$/.test(value.code ?? ''),
        );
      }),
      { numRuns: 100 },
    );
  });
});

describe('a directory is refused with', () => {
  it.each<[string, () => void, RegExp]>([
    [
      'a symbolic link to the host',
      () => symlinkSync('/etc/shadow', `${source}/a`),
      /leads outside/,
    ],
    [
      'a symbolic link that climbs out',
      () => symlinkSync('../task', `${source}/a`),
      /leads outside/,
    ],
    ['a named pipe', () => execFileSync('mkfifo', [`${source}/a`]), /is a named pipe/],
    ['a device', () => execFileSync('mknod', [`${source}/a`, 'c', '1', '3']), /is a device/],
    ['a deletion', () => writeFileSync(`${source}/.wh.a`, ''), /starts with "\.wh\."/],
  ])('%s', async (_, make, message) => {
    make();
    await expectRefused(source, message);
  });

  it('a socket', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(`${source}/socket`, resolve));
    try {
      await expectRefused(source, /is a socket/);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
