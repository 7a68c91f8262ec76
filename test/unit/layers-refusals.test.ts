/** The cleaner alone, without root and mkfs.erofs: why it refuses a layer's tar. */
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LAYER_LIMITS } from '../../src/archive/archive-limits.ts';
import { LAYER_POLICY } from '../../src/archive/archive-policy.ts';
import { cleanTar } from '../../src/archive/clean-tar.ts';
import { cleanInMemory as clean, readAll } from '../support/images/clean-in-memory.ts';
import {
  binaryNumber,
  buildExtension,
  buildPaxHeader,
  buildTar,
  END_OF_TAR,
  type RawEntry,
  toBlocks,
} from '../support/images/tar-builder.ts';
import { workers } from '../support/installation/workers.ts';

const invalid = (reason: RegExp) =>
  expect.objectContaining({
    code: 'ERR_STACKSHIM_LAYER_INVALID',
    message: expect.stringMatching(reason),
  });
const tooLarge = (limit: string, maximum: number) =>
  expect.objectContaining({
    code: 'ERR_STACKSHIM_LAYER_TOO_LARGE',
    details: { limit, maximum },
  });

const big = 'n'.repeat(256);
const refused: readonly (readonly [string, readonly (RawEntry | Buffer)[], RegExp])[] = [
  ['a name with ".."', [{ path: 'a/../../b' }], /name with "\.\."/],
  ['a name that ends in ".."', [{ path: 'a/..' }], /name with "\.\."/],
  ['an absolute name that ends in ".."', [{ path: '/etc/..' }], /name with "\.\."/],
  [
    'a link as the root, by an absolute name',
    [{ path: '/', type: '2', link: 'a' }],
    /the root is not a folder/,
  ],
  [
    'a user outside of every task’s range',
    [{ path: 'a', uid: 65_536 }],
    /user 65536, and ids end at 65535/,
  ],
  [
    'a group outside of every task’s range',
    [{ path: 'a', gid: 70_000 }],
    /group 70000, and ids end at 65535/,
  ],
  ['an empty name', [{ path: '' }], /empty name/],
  ['a NUL in a PAX path', [{ path: 'a', pax: [['path', 'a\0b']] }], /NUL/],
  ['a NUL in a PAX link', [{ path: 'a', type: '2', pax: [['linkpath', 'a\0b']] }], /NUL/],
  ['a NUL in a GNU name', [buildExtension('L', Buffer.from('a\0b\0'))], /NUL/],
  ['a name part of 256 bytes', [{ path: 'a', pax: [['path', big]] }], /more than 255 bytes/],
  ['a file as the root', [{ path: '.' }], /the root is not a folder/],
  [
    'a symbolic link as the root',
    [{ path: './', type: '2', link: 'a' }],
    /the root is not a folder/,
  ],
  ['the deletion ".wh."', [{ path: '.wh.' }], /malformed name of a whiteout/],
  ['the deletion ".wh.."', [{ path: '.wh..' }], /malformed name of a whiteout/],
  ['the deletion "y/.wh..."', [{ path: 'y/.wh...' }], /malformed name of a whiteout/],
  ['the deletion ".wh..wh."', [{ path: '.wh..wh.' }], /malformed name of a whiteout/],
  ['an aufs leftover', [{ path: '.wh..wh.plnk', type: '5' }], /malformed name of a whiteout/],
  ['a name beneath a deletion', [{ path: '.wh.a/b' }], /malformed name of a whiteout/],
  ['a deletion with content', [{ path: '.wh.a', content: 'x' }], /not an empty file/],
  ['a deletion that is a folder', [{ path: '.wh.a', type: '5' }], /not an empty file/],
  [
    'a deletion that is a hard link',
    [{ path: 'b' }, { path: '.wh.a', type: '1', link: 'b' }],
    /not an/,
  ],
  [
    'a deletion beneath a file',
    [{ path: 'a' }, { path: 'a/.wh.b' }],
    /below something that is not a folder/,
  ],
  ['an opaque marker in a file', [{ path: 'a' }, { path: 'a/.wh..wh..opq' }], /not a folder/],
  ['trusted.overlay.*', [xattr('trusted.overlay.redirect')], /trusted\.overlay\.redirect/],
  ['user.overlay.*', [xattr('user.overlay.opaque')], /user\.overlay\.opaque/],
  ['attributes of 16 KB', [xattr('user.a', 'x'.repeat(16 * 1024))], /extended attributes/],
  [
    'attributes for a folder that already has some',
    [
      { ...xattr('user.a'), type: '5' },
      { ...xattr('user.b'), type: '5' },
    ],
    /occurs twice/,
  ],
  ['a sparse file of GNU', [{ path: 'a', type: 'S' }], /sparse file/],
  ['a sparse file of PAX', [{ path: 'a', pax: [['GNU.sparse.major', '1']] }], /sparse file/],
  ['a sparse file of star', [{ path: 'a', pax: [['SCHILY.realsize', '9']] }], /sparse file/],
  ['an unknown type', [{ path: 'a', type: 'V' }], /unknown type "V"/],
  ['a negative size', [{ path: 'a', size: binaryNumber(-1n) }], /not a number of bytes/],
  ['a size beyond 2^53', [{ path: 'a', size: binaryNumber(1n << 60n) }], /not a number of bytes/],
  ['an invalid PAX size', [{ path: 'a', pax: [['size', '-1']] }], /not a number of bytes/],
  [
    'a size that is not a number',
    [{ path: 'a', size: Buffer.from('9999999999 \0') }],
    /not a number/,
  ],
  ['a folder with content', [{ path: 'a', type: '5', content: 'x' }], /directory with a size/],
  [
    'a hard link with content',
    [{ path: 'a' }, { path: 'b', type: '1', link: 'a', content: 'x' }],
    /hardlink with a size/,
  ],
  ['a user id beyond 32 bits', [{ path: 'a', pax: [['uid', '4294967295']] }], /user and group id/],
  ['an invalid time', [{ path: 'a', pax: [['mtime', 'noon']] }], /mtime/],
  ['a wrong checksum', [{ path: 'a', checksum: 1 }], /checksum/],
  [
    'a PAX record longer than its header',
    [buildExtension('x', Buffer.from('99 a=b\n'))],
    /as long as it says/,
  ],
  ['a PAX record without a length', [buildExtension('x', Buffer.from('a=b\n'))], /no length/],
  ['a PAX record of length 0', [buildExtension('x', Buffer.from('0 a=b\n'))], /no length/],
  ['a PAX record without a key', [buildExtension('x', Buffer.from('5 =b\n'))], /no key/],
  ['an empty extension header', [buildExtension('x', Buffer.alloc(0)), { path: 'a' }], /is empty/],
  [
    'two PAX headers in a row',
    [buildPaxHeader([['a', 'b']]), { path: 'a', pax: [['a', 'b']] }],
    /two PAX/,
  ],
  ['an extension header with no entry', [buildPaxHeader([['a', 'b']])], /without an entry/],
  [
    'a path for all entries',
    [buildPaxHeader([['path', 'x']], 'g'), { path: 'a' }],
    /global PAX record "path"/,
  ],
  ['the same file twice', [{ path: 'a' }, { path: './a' }], /already as a file/],
  ['a folder in place of a file', [{ path: 'a' }, { path: 'a', type: '5' }], /already as a file/],
  [
    'a file in place of an implied folder',
    [{ path: 'a/b' }, { path: 'a' }],
    /already as a directory/,
  ],
  ['a device in place of a file', [{ path: 'a' }, { path: 'a', type: '3' }], /already as a file/],
  ['an entry beneath a file', [{ path: 'a' }, { path: 'a/b' }], /lies below "a", a file/],
  [
    'an entry beneath a symbolic link',
    [{ path: 'a', type: '2', link: '/etc' }, { path: 'a/b/c' }],
    /lies below "a", a symlink/,
  ],
  [
    'an entry beneath a device',
    [{ path: 'a', type: '3' }, { path: 'a/b' }],
    /lies below "a", a dropped/,
  ],
  [
    'a hard link to a missing file',
    [{ path: 'a', type: '1', link: 'b' }],
    /not a file of this layer before it/,
  ],
  [
    'a hard link to a later file',
    [{ path: 'a', type: '1', link: 'b' }, { path: 'b' }],
    /before it/,
  ],
  ['a hard link to itself', [{ path: 'a', type: '1', link: 'a' }], /before it/],
  [
    'a hard link to a folder',
    [
      { path: 'd', type: '5' },
      { path: 'a', type: '1', link: 'd' },
    ],
    /a folder/,
  ],
  [
    'a hard link that escapes',
    [{ path: 'a', type: '1', link: '../etc/shadow' }],
    /name with "\.\."/,
  ],
  ['an absolute hard link', [{ path: 'a', type: '1', link: '/etc/shadow' }], /before it/],
  [
    'a hard link to a deletion',
    [{ path: '.wh.b' }, { path: 'a', type: '1', link: '.wh.b' }],
    /before it/,
  ],
  ['an empty symbolic link', [{ path: 'a', type: '2' }], /to nothing/],
  [
    'a symbolic link of 4,096 bytes',
    [{ path: 'a', type: '2', pax: [['linkpath', 'x'.repeat(4096)]] }],
    /4095 bytes/,
  ],
];

function xattr(name: string, value = 'x'): RawEntry {
  return { path: 'a', pax: [[`SCHILY.xattr.${name}`, value]] };
}

describe('a tar is refused', () => {
  it.each(refused)('for %s', async (_, entries, reason) => {
    await expect(clean(buildTar(...entries))).rejects.toEqual(invalid(reason));
  });

  it('for ending in a header, in content, or before its end marker', async () => {
    const tar = Buffer.concat([toBlocks({ path: 'a', content: 'x'.repeat(600) })]);
    for (const end of [100, 600, 1100, tar.length]) {
      await expect(clean(tar.subarray(0, end))).rejects.toEqual(invalid(/before its end marker/));
    }
    await expect(clean(Buffer.alloc(0))).rejects.toEqual(invalid(/before its end marker/));
  });

  it('for bytes after its end, other than zeros', async () => {
    const tar = buildTar({ path: 'a' });
    await expect(clean(Buffer.concat([tar, END_OF_TAR]))).resolves.toBeDefined();
    await expect(clean(Buffer.concat([tar, Buffer.from('x')]))).rejects.toEqual(
      invalid(/follow the end of the tar/),
    );
  });

  it('for damaged, truncated or extended gzip data', async () => {
    const packed = gzipSync(buildTar({ path: 'a', content: 'x'.repeat(5000) }));
    const damaged = Buffer.from(packed);
    damaged[20] = (damaged[20] ?? 0) ^ 0xff;
    const gzip = { compression: 'gzip' as const };
    for (const bytes of [damaged, packed.subarray(0, packed.length - 4), Buffer.from('no gzip')]) {
      await expect(clean(bytes, gzip)).rejects.toEqual(invalid(/decompress layer/));
    }
    for (const more of [Buffer.alloc(8), Buffer.from('junk')]) {
      await expect(clean(Buffer.concat([packed, more]), gzip)).rejects.toEqual(
        invalid(/follow the end of the gzip data|decompress layer/),
      );
    }
  });

  it('with the input’s own error if the input fails', async () => {
    const failure = new Error('the network went away');
    const start = gzipSync(buildTar({ path: 'a' })).subarray(0, 30);
    const input = new Readable({
      read() {
        this.push(start);
        this.destroy(failure);
      },
    });
    const { tar } = cleanTar(input, {
      policy: LAYER_POLICY,
      workers,
      limits: LAYER_LIMITS,
      compression: 'gzip',
    });
    await expect(readAll(tar)).rejects.toBe(failure);
  });
});

describe('limits', () => {
  it('apply to entries, including implied folders and deletions', async () => {
    const limits = { entries: 3 };
    await expect(clean(buildTar({ path: 'a/b/c' }), { limits })).resolves.toBeDefined();
    await expect(clean(buildTar({ path: 'a/b/c/d' }), { limits })).rejects.toEqual(
      tooLarge('entries', 3),
    );
    await expect(clean(buildTar({ path: 'a/b/.wh.c' }), { limits })).resolves.toBeDefined();
    await expect(clean(buildTar({ path: 'a/b/c/.wh.d' }), { limits })).rejects.toEqual(
      tooLarge('entries', 3),
    );
  });

  it('apply to bytes before they are read', async () => {
    const header = toBlocks({ path: 'a', size: binaryNumber(1n << 50n) });
    await expect(clean(header)).rejects.toEqual(tooLarge('bytes', LAYER_LIMITS.bytes));
    const limits = { bytes: 4096 };
    await expect(
      clean(buildTar({ path: 'a', content: 'x'.repeat(4000) }), { limits }),
    ).rejects.toEqual(tooLarge('bytes', 4096));
  });

  it('apply to extension headers before they are read', async () => {
    const header = toBlocks({ path: 'a', type: 'x', size: 200 * 1024 });
    await expect(clean(header)).rejects.toEqual(
      tooLarge('bytes in an extension header', LAYER_LIMITS.headerBytes),
    );
  });

  it('apply to depth and length of names', async () => {
    const deep = 'd/'.repeat(128);
    await expect(clean(buildTar({ path: 'a', pax: [['path', `${deep}f`]] }))).rejects.toEqual(
      invalid(/128 folders deep/),
    );
    const long = `${'n'.repeat(250)}/`.repeat(17);
    await expect(clean(buildTar({ path: 'a', pax: [['path', `${long}f`]] }))).rejects.toEqual(
      invalid(/name of more than 4095 bytes/),
    );
  });

  it('apply to the steps of resolving names', async () => {
    const flat = Array.from({ length: 200 }, (_, n) => ({ path: `d/${n}` }));
    const nested = Array.from({ length: 200 }, (_, n) => ({ path: `${n % 10}/${n}` }));
    const limits = { lookupSteps: 15_000 };
    await expect(clean(buildTar(...flat), { limits })).rejects.toEqual(
      tooLarge('steps to look its names up', 15_000),
    );
    await expect(clean(buildTar(...nested), { limits })).resolves.toBeDefined();
  });
});

describe('random bytes', () => {
  it('give a tar or a typed error', async () => {
    const seed = buildTar(
      { path: 'a', content: 'x'.repeat(700), pax: [['SCHILY.xattr.user.a', 'b']] },
      { path: 'b/', type: '5' },
      { path: 'c', type: '1', link: 'a' },
      { path: '.wh.d' },
    );
    const flips = fc.array(fc.tuple(fc.nat(seed.length - 1), fc.nat(255)), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(flips, async (changes) => {
        const tar = Buffer.from(seed);
        for (const [at, value] of changes) tar[at] = value;
        const result = await clean(tar).catch((error: unknown) => error);
        expect(result).toSatisfy(
          (value: unknown) =>
            Object.hasOwn(value as object, 'report') ||
            /^ERR_STACKSHIM_LAYER_(INVALID|TOO_LARGE)$/.test((value as { code: string }).code),
        );
      }),
      { numRuns: 300 },
    );
  });
});
