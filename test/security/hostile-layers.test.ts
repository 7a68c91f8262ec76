/** Layers made to crash, hang or deceive mkfs.erofs, or to reach the host: a typed error and nothing left, or a sound layer. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { layersDir } from '../../src/core/layout.ts';
import { openLayerLab } from '../support/images/layer-lab.ts';
import {
  binaryNumber,
  buildExtension,
  buildTar,
  type RawEntry,
  toBlocks,
} from '../support/images/tar-builder.ts';

const lab = openLayerLab();
const canary = `${lab.folder}/canary`;
beforeAll(() => {
  mkdirSync(canary);
  writeFileSync(`${canary}/secret`, 'untouched');
});
afterAll(() => lab.dispose());

/** Inputs on which mkfs.erofs alone crashes, hangs, or writes a damaged or wrong image. */
const hostile: readonly (readonly [string, readonly (RawEntry | Buffer)[]])[] = [
  ['the name ".wh.."', [{ path: '.wh..' }]],
  ['the name "y/.wh..."', [{ path: 'y/.wh...' }]],
  ['the name ".wh."', [{ path: '.wh.' }]],
  ['the name "..."-like deletions in a folder', [{ path: 'a', type: '5' }, { path: 'a/.wh..' }]],
  [
    'an extension header of 2^50 bytes',
    [toBlocks({ path: 'x', type: 'x', size: binaryNumber(1n << 50n) })],
  ],
  [
    'a long name of 2^50 bytes',
    [toBlocks({ path: 'x', type: 'L', size: binaryNumber(1n << 50n) })],
  ],
  ['a file of 2^50 bytes', [toBlocks({ path: 'x', size: binaryNumber(1n << 50n) })]],
  ['a sparse file of GNU tar', [{ path: 'sparse', type: 'S', content: 'x'.repeat(512) }]],
  [
    'a sparse file of PAX',
    [
      {
        path: 'GNUSparseFile.0/sparse',
        content: `1\n0\n4\n${'\0'.repeat(505)}data`,
        pax: [
          ['GNU.sparse.major', '1'],
          ['GNU.sparse.minor', '0'],
          ['GNU.sparse.name', 'sparse'],
          ['GNU.sparse.realsize', '1000000'],
        ],
      },
    ],
  ],
  [
    'overlay attributes',
    [{ path: 'd/', type: '5', pax: [['SCHILY.xattr.trusted.overlay.redirect', '/']] }],
  ],
  [
    'a link as the root, by a PAX path',
    [{ path: 'a', type: '2', link: 'b', pax: [['path', '/']] }],
  ],
  ['a hard link to itself', [{ path: 'a', type: '1', link: 'a' }]],
  [
    'a hard link that replaces its own target',
    [{ path: 'a' }, { path: 'a', type: '1', link: 'a' }],
  ],
  ['a folder that becomes a file', [{ path: 'a/b' }, { path: 'a', content: 'x' }]],
  ['a file that becomes a folder', [{ path: 'a', content: 'x' }, { path: 'a/b' }]],
  [
    'a hard link to a folder',
    [
      { path: 'a/', type: '5' },
      { path: 'b', type: '1', link: 'a' },
    ],
  ],
  ['a PAX record that is cut', [buildExtension('x', Buffer.from('30 path=a'))]],
  ['a path through ".."', [{ path: '../canary/secret', content: 'stolen' }]],
  ['an absolute path through ".."', [{ path: `/..${canary}/secret`, content: 'stolen' }]],
  ['an id outside of every task’s range', [{ path: 'a', uid: 1_879_048_192 }]],
  [
    'a path through a symbolic link',
    [
      { path: 'door', type: '2', link: canary },
      { path: 'door/secret', content: 'stolen' },
    ],
  ],
  ['a hard link into the host', [{ path: 'a', type: '1', link: `../../${canary}/secret` }]],
];

describe('a hostile tar gives a typed error and leaves nothing:', () => {
  it.each(hostile)('%s', async (_, entries) => {
    await expect(lab.import(buildTar(...entries))).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_STACKSHIM_LAYER_(INVALID|TOO_LARGE)$/),
    });
    expect(lab.leftovers()).toEqual([]);
    expect(readdirSync(layersDir(lab.layout))).toEqual([]);
    expect(readdirSync(canary)).toEqual(['secret']);
    expect(readFileSync(`${canary}/secret`, 'utf8')).toBe('untouched');
  });

  it('a compression bomb, long before it is unpacked', async () => {
    const size = 300 * 1024 * 1024;
    const bomb = gzipSync(Buffer.concat([toBlocks({ path: 'zeros', size }), Buffer.alloc(size)]));
    let unpackedBytes = 0;
    await expect(
      lab.import(bomb, {
        compression: 'gzip',
        onProgress: (bytes) => {
          unpackedBytes = bytes;
        },
      }),
    ).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_LAYER_TOO_LARGE',
      details: { limit: 'bytes from each packed byte', maximum: 200 },
    });
    expect(unpackedBytes).toBeLessThanOrEqual(256 * 1024 * 1024);
    expect(lab.leftovers()).toEqual([]);
  });
});

describe('a hostile tar that can be a layer', () => {
  it('loses its devices, even those that overlayfs reads as deletions', async () => {
    const layer = await lab.import(
      buildTar({ path: 'dev/sda', type: '4' }, { path: 'etc/passwd', type: '3' }),
    );
    expect([...lab.read(layer).keys()]).toEqual(['.', 'dev', 'etc']);
    expect(layer.record.droppedDevices).toBe(2);
  });

  it('has absolute paths below its own root', async () => {
    const layer = await lab.import(buildTar({ path: `${canary}/secret`, content: 'stolen' }));
    expect([...lab.read(layer).keys()]).toContain(`${canary.slice(1)}/secret`);
    expect(readFileSync(`${canary}/secret`, 'utf8')).toBe('untouched');
  });

  it('can be opaque at its root', async () => {
    const layer = await lab.import(buildTar({ path: './.wh..wh..opq' }, { path: 'a' }));
    expect([...lab.read(layer).keys()]).toEqual(['.', 'a']);
    expect(layer.record.opaqueRoot).toBe(true);
  });

  it('keeps links that lead outside: a task follows them inside its own root', async () => {
    const layer = await lab.import(
      buildTar(
        { path: 'shadow', type: '2', link: '/etc/shadow' },
        { path: 'up', type: '2', link: '../../..' },
      ),
    );
    const tree = lab.read(layer);
    expect(tree.get('shadow')?.linkTarget).toBe('/etc/shadow');
    expect(tree.get('up')?.linkTarget).toBe('../../..');
  });

  it('can have attributes, names and links of the maximum length', async () => {
    const value = Buffer.alloc(16 * 1024 - 32 - 'user.a'.length, '\n12 path=evil\n');
    const name = 'n'.repeat(255);
    const path = Array.from({ length: 15 }, () => name).join('/');
    const link = `${'l/'.repeat(2047)}l`;
    const layer = await lab.import(
      buildTar(
        {
          path: 'deep',
          content: 'deep',
          pax: [
            ['path', path],
            ['SCHILY.xattr.user.a', value],
          ],
        },
        { path: 'link', type: '2', pax: [['linkpath', link]] },
      ),
    );
    const tree = lab.read(layer);
    expect([...tree.keys()].filter((key) => !path.startsWith(key))).toEqual(['.', 'link']);
    expect(tree.get(path)?.xattrs.get('user.a')?.equals(value)).toBe(true);
    expect(tree.get(path)?.content).toBe('deep');
    expect(tree.get('link')?.linkTarget).toBe(link);
  });

  it('cannot make mkfs.erofs write outside its folder', () => {
    expect(existsSync(`${lab.layout.root}/tmp`)).toBe(true);
    expect(readdirSync(lab.layout.root).sort()).toEqual(['layers', 'tmp']);
  });
});
