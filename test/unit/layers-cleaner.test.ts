/** The cleaner alone, without root and mkfs.erofs: what it makes of a tar. */
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type Cleaned, cleanInMemory as clean } from '../support/images/clean-in-memory.ts';
import {
  binaryNumber,
  buildExtension,
  buildPaxHeader,
  buildTar,
} from '../support/images/tar-builder.ts';

const paths = ({ entries }: Cleaned) => entries.map(({ path }) => path);

describe('content of a tar', () => {
  it('keeps its modes, owners, times, links, data and binary attributes', async () => {
    const capability = Buffer.from([
      1, 0, 0, 2, 0, 4, 0, 0, 0, 10, 255, 0, 61, 0, 0, 0, 0, 0, 0, 0,
    ]);
    const { entries } = await clean(
      buildTar(
        { path: './', type: '5', mode: 0o755 },
        { path: './bin/', type: '5', mode: 0o755 },
        {
          path: './bin/ping',
          content: 'elf',
          mode: 0o4755,
          uid: 7,
          gid: 8,
          pax: [
            ['SCHILY.xattr.security.capability', capability],
            ['mtime', '1600000000.000000007'],
          ],
        },
        { path: 'bin/ping6', type: '1', link: './bin/ping' },
        { path: 'sbin', type: '2', link: '/bin' },
        { path: 'pipe', type: '6' },
      ),
    );
    expect(entries.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      'directory ./',
      'directory ./',
      'directory bin/',
      'file bin/ping',
      'hardlink bin/ping6',
      'symlink sbin',
      'fifo pipe',
    ]);
    expect(entries[3]).toMatchObject({
      mode: 0o4755,
      uid: 7,
      gid: 8,
      mtime: { seconds: 1_600_000_000, nanoseconds: 7 },
      content: 'elf',
    });
    expect(entries[3]?.xattrs.get('security.capability')).toEqual(capability);
    expect(entries[4]?.linkTarget).toBe('bin/ping');
    expect(entries[5]?.linkTarget).toBe('/bin');
  });

  it('gives the same bytes however the input is divided', async () => {
    const tar = buildTar(
      { path: 'a', content: 'x'.repeat(1500) },
      { path: 'b', pax: [['path', `d/${'n'.repeat(200)}`]] },
    );
    const once = await clean(tar, { chunkBytes: tar.length });
    for (const chunkBytes of [1, 7, 511, 512, 513]) {
      expect(await clean(tar, { chunkBytes })).toEqual(once);
    }
    expect(once.report.diffId).toBe(once.report.digest);
  });

  it('with implied folders gets them as 0755 root:root', async () => {
    const { entries, report } = await clean(buildTar({ path: 'a/b/c' }));
    expect(entries.slice(1, 3)).toMatchObject([
      { path: 'a/', mode: 0o755, uid: 0, gid: 0, mtime: { seconds: 0 } },
      { path: 'a/b/', mode: 0o755 },
    ]);
    expect(report.entries).toBe(1);
  });

  it('can have long GNU and PAX names, the ustar prefix, and names that are not valid UTF-8', async () => {
    const long = `${'d'.repeat(150)}/${'f'.repeat(150)}`;
    const target = 't'.repeat(200);
    const cleaned = await clean(
      buildTar(
        buildExtension('L', Buffer.from(`${long}\0`)),
        buildExtension('K', Buffer.from(`${target}\0`)),
        { path: 'short', type: '2', link: 'cut', magic: 'ustar  \0' },
        { path: 'name', prefix: 'some/prefix' },
        { path: Buffer.from([0x62, 0xff, 0xfe]) },
      ),
    );
    expect(paths(cleaned)).toContain(long);
    expect(cleaned.entries.find(({ path }) => path === long)?.linkTarget).toBe(target);
    expect(paths(cleaned)).toContain('some/prefix/name');
    expect(paths(cleaned)).toContain('b\xff\xfe');
  });

  it('with absolute names gets names below the root, as in docker', async () => {
    const cleaned = await clean(
      buildTar(
        { path: '/', type: '5', mode: 0o700 },
        { path: '/ko-app/', type: '5' },
        { path: '//ko-app/tool', content: 'x' },
        { path: '/ko-app/same', type: '1', link: '/ko-app/tool' },
        { path: '/ko-app/.wh.old' },
      ),
    );
    expect(cleaned.entries.slice(1).map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      'directory ./',
      'directory ko-app/',
      'file ko-app/tool',
      'hardlink ko-app/same',
      'file ko-app/.wh.old',
    ]);
    expect(cleaned.entries[4]?.linkTarget).toBe('ko-app/tool');
  });

  it('can have sizes, ids and times in PAX records, and numbers too large for octal digits', async () => {
    const cleaned = await clean(
      buildTar(
        {
          path: 'a',
          pax: [
            ['uid', '65535'],
            ['gid', '40000'],
            ['mtime', '-3.5'],
          ],
        },
        { path: 'b', pax: [['mtime', '99999999999']] },
        { path: 'c', size: binaryNumber(5n), content: 'hello' },
      ),
    );
    expect(cleaned.entries.slice(1)).toMatchObject([
      { uid: 65_535, gid: 40_000, mtime: { seconds: 0, nanoseconds: 0 } },
      { mtime: { seconds: 99_999_999_999, nanoseconds: 0 } },
      { size: 5, content: 'hello' },
    ]);
  });

  it('with later times gets the ceiling, and keeps earlier times', async () => {
    const { entries } = await clean(
      buildTar(
        { path: 'new', pax: [['mtime', '2000.5']] },
        { path: 'at', pax: [['mtime', '1000.5']] },
        { path: 'old', mtime: 999 },
      ),
      { mtimeCeiling: 1000 },
    );
    expect(entries.slice(1).map(({ mtime }) => mtime)).toEqual([
      { seconds: 1000, nanoseconds: 0 },
      { seconds: 1000, nanoseconds: 0 },
      { seconds: 999, nanoseconds: 0 },
    ]);
  });

  it('loses devices with their hard links, which are counted', async () => {
    const cleaned = await clean(
      buildTar(
        { path: 'dev', type: '5' },
        { path: 'dev/null', type: '3' },
        { path: 'dev/zero', type: '1', link: 'dev/null' },
        { path: 'dev/sda', type: '4' },
        { path: 'dev/null', content: 'a file after all' },
      ),
    );
    expect(paths(cleaned)).toEqual(['./', 'dev/', 'dev/null']);
    expect(cleaned.report).toMatchObject({ droppedDevices: 2, entries: 2 });
  });

  it('loses buildah’s empty etc/hosts, but not one with content', async () => {
    expect(
      paths(await clean(buildTar({ path: 'etc/hosts' }, { path: 'run/.containerenv' }))),
    ).toEqual(['./', 'etc/', 'run/']);
    expect(paths(await clean(buildTar({ path: 'etc/hosts', content: '::1 me\n' })))).toContain(
      'etc/hosts',
    );
  });

  it('loses attributes of other systems and comments for all entries', async () => {
    const { entries } = await clean(
      buildTar(buildPaxHeader([['comment', 'a commit']], 'g'), {
        path: 'a',
        pax: [
          ['SCHILY.xattr.com.apple.provenance', 'x'],
          ['LIBARCHIVE.xattr.user.a', 'eA=='],
          ['SCHILY.xattr.user.kept', 'y'],
          ['RHT.security.selinux', 'z'],
        ],
      }),
    );
    expect([...(entries[1]?.xattrs.keys() ?? [])]).toEqual(['user.kept']);
  });

  it('has both digests, even in gzip data of several members', async () => {
    const tar = buildTar({ path: 'a', content: 'b'.repeat(3000) });
    const plain = await clean(tar);
    const packed = Buffer.concat([gzipSync(tar.subarray(0, 600)), gzipSync(tar.subarray(600))]);
    const { entries, report } = await clean(packed, { compression: 'gzip' });
    expect(entries).toEqual(plain.entries);
    expect(report.diffId).toBe(plain.report.diffId);
    expect(report.digest).not.toBe(report.diffId);
    expect(report.packedBytes).toBe(packed.length);
  });
});

describe('deletions', () => {
  it('come last, whatever their order in the tar', async () => {
    const cleaned = await clean(
      buildTar(
        { path: 'etc/.wh.motd' },
        { path: 'opt/.wh..wh..opq' },
        { path: 'etc/passwd', content: 'x' },
        { path: 'opt/new' },
      ),
    );
    expect(paths(cleaned).slice(-2)).toEqual(['etc/.wh.motd', 'opt/.wh..wh..opq']);
  });

  it('of a path that the same layer contains: a file stays, a folder becomes opaque', async () => {
    const cleaned = await clean(
      buildTar(
        { path: '.wh.file' },
        { path: 'file', content: 'x' },
        { path: 'folder/inside' },
        { path: '.wh.folder' },
      ),
    );
    expect(paths(cleaned)).toEqual([
      './',
      'file',
      'folder/',
      'folder/inside',
      'folder/.wh..wh..opq',
    ]);
  });

  it('of a whole root are not a file: the report contains them', async () => {
    const cleaned = await clean(buildTar({ path: '.wh..wh..opq' }, { path: 'a' }));
    expect(paths(cleaned)).toEqual(['./', 'a']);
    expect(cleaned.report.opaqueRoot).toBe(true);
    expect((await clean(buildTar({ path: 'a' }))).report.opaqueRoot).toBe(false);
  });
});
