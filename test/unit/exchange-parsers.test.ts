/** Parsers of the exchange, without a disk: references, archives, indexes, capabilities. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { shiftBuildCapability, shiftCapability } from '../../src/archive/shift-capability.ts';
import { StackshimError } from '../../src/core/errors.ts';
import { BUILD_RANGE_COUNT, FIRST_BUILD_ID, IDS_PER_SLOT } from '../../src/core/host-ids.ts';
import { indexArchive } from '../../src/exchange/archives/index-archive.ts';
import { readDockerArchive } from '../../src/exchange/archives/read-docker-archive.ts';
import { toOciConfig } from '../../src/exchange/oci-image/oci-documents.ts';
import { parseImageReference, parsePushName } from '../../src/exchange/registry/image-reference.ts';
import { toPlain } from '../../src/exchange/registry/run-skopeo.ts';
import { parseSavedIndex } from '../../src/exchange/saves/saved-index.ts';
import { createSavedReader } from '../../src/exchange/saves/saved-reader.ts';
import { STACK_LABELS } from '../../src/store/images/image.ts';
import {
  buildPaxHeader,
  buildTar,
  type RawEntry,
  toBlocks,
} from '../support/images/tar-builder.ts';
import { digestOf } from '../support/stacks/stack-store.ts';

const folder = mkdtempSync(`${tmpdir()}/stackshim-exchange-unit-`);
afterAll(() => rmSync(folder, { recursive: true }));

describe('toOciConfig', () => {
  const createdAt = (epoch: string) => {
    const labels = { [STACK_LABELS.epoch]: epoch };
    const config = { env: [], entrypoint: [], cmd: [], workingDir: '', user: '', labels };
    const digest = digestOf('image');
    const image = { digest, layers: [], diffIds: [], config, architecture: 'amd64' };
    return JSON.parse(toOciConfig(image, [])).created;
  };

  it('takes the time of creation from its label', () => {
    expect(createdAt('1700000000')).toBe('2023-11-14T22:13:20.000Z');
    expect(createdAt('253402300799')).toBe('9999-12-31T23:59:59.000Z');
  });

  it.each(['', 'x', '1.5', '-1', '253402300800', '-2778104069015878', '1e400'])(
    'rejects %j as a time that a config can contain',
    (epoch) => {
      expect(createdAt(epoch)).toBe('1970-01-01T00:00:00.000Z');
    },
  );
});

describe('parseImageReference', () => {
  it.each([
    ['oci:/a/b', { kind: 'oci', path: '/a/b' }],
    ['oci:dir:v1', { kind: 'oci', path: 'dir', tag: 'v1' }],
    ['oci-archive:/x.tar', { kind: 'oci-archive', path: '/x.tar' }],
    [
      'oci-archive:x.tar:localhost/a:b',
      { kind: 'oci-archive', path: 'x.tar', tag: 'localhost/a:b' },
    ],
    ['docker-archive:x.tar', { kind: 'docker-archive', path: 'x.tar' }],
    ['x', { kind: 'path', path: 'x', isRootfs: false }],
    ['./oci:x', { kind: 'path', path: './oci:x', isRootfs: false }],
    ['-', { kind: 'path', path: '-', isRootfs: false }],
    ['rootfs:oci:x', { kind: 'path', path: 'oci:x', isRootfs: true }],
    ['docker://host:5000/a/b:v1', { kind: 'docker', name: 'host:5000/a/b:v1' }],
    [
      `docker://h/a@sha256:${'0'.repeat(64)}`,
      { kind: 'docker', name: `h/a@sha256:${'0'.repeat(64)}` },
    ],
    [
      `docker://h:5000/a:v1@sha256:${'0'.repeat(64)}`,
      { kind: 'docker', name: `h:5000/a@sha256:${'0'.repeat(64)}` },
    ],
  ])('reads %s', (text, expected) => {
    expect(parseImageReference(text)).toEqual(expected);
  });

  it.each([
    ...[
      '',
      'oci:',
      'oci-archive:',
      'rootfs:',
      'dir:/x',
      'containers-storage:x',
      'docker:x',
      'docker://',
    ],
    ...[
      'docker://--help/x',
      'docker://h/',
      'docker://h/UPPER',
      'docker://h/a b',
      'docker://h/a:b:c',
    ],
    ...[
      'docker://h/a@sha256:12',
      'docker://h/../x',
      'docker://h//x',
      `oci:${'x'.repeat(2000)}`,
      'oci:a\0b',
    ],
  ])('refuses %j', (text) => {
    expect(() => parseImageReference(text)).toThrow(
      expect.objectContaining({
        code: 'ERR_STACKSHIM_SPEC_INVALID',
        details: { field: 'reference' },
      }),
    );
  });

  it('accepts a tag to push to, never a digest', () => {
    expect(parsePushName('docker://h:5000/a:v1')).toBe('h:5000/a:v1');
    for (const text of [`docker://h/a@sha256:${'0'.repeat(64)}`, 'h/a:v1', 'oci:x']) {
      expect(() => parsePushName(text)).toThrow(
        expect.objectContaining({ code: 'ERR_STACKSHIM_SPEC_INVALID' }),
      );
    }
  });

  it('returns a reference or a typed error for any text', () => {
    const texts = fc.tuple(
      fc.constantFrom('oci:', 'docker://', 'docker-archive:', ''),
      fc.string(),
    );
    fc.assert(
      fc.property(texts, ([prefix, rest]) => {
        for (const parse of [parseImageReference, parsePushName]) {
          try {
            parse(prefix + rest);
          } catch (error) {
            if (!(error instanceof StackshimError)) throw error;
          }
        }
      }),
    );
  });
});

async function index(tar: Buffer) {
  const path = `${folder}/archive.tar`;
  writeFileSync(path, tar);
  const file = await open(path, 'r');
  try {
    return await indexArchive(file, tar.length);
  } finally {
    await file.close();
  }
}

describe('indexArchive', () => {
  it('finds each file, by long name and link as well', async () => {
    const long = `${'d/'.repeat(100)}file`;
    const tar = buildTar(
      buildPaxHeader([['comment', 'of git']], 'g'),
      { path: 'blobs/', type: '5' },
      { path: './blobs/a', content: 'one' },
      { path: 'x', content: 'two', pax: [['path', long]] },
      { path: 'dir/again', type: '2', link: '../blobs/a' },
    );
    const spans = await index(tar);
    const read = (name: string) => {
      const { start = 0, size = 0 } = spans.get(name) ?? {};
      return tar.toString('latin1', start, start + size);
    };
    expect([...spans.keys()]).toEqual(['blobs/a', long, 'dir/again']);
    expect([read('blobs/a'), read(long), read('dir/again')]).toEqual(['one', 'two', 'one']);
  });

  it.each<[string, readonly RawEntry[], string]>([
    ['a name twice', [{ path: 'a' }, { path: './a' }], 'comes twice'],
    ['two sizes', [{ path: 'a', content: 'one', pax: [['size', '2']] }], 'two sizes'],
    ['a device', [{ path: 'a', type: '3' }], 'device'],
    ['a way out', [{ path: '../a' }], '..'],
  ])('refuses %s', async (_, entries, reason) => {
    await expect(index(buildTar(...entries))).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_IMAGE_INVALID',
      message: expect.stringContaining(reason),
    });
  });

  it('refuses endless headers without an entry', async () => {
    const comment = buildPaxHeader([['comment', 'x'.repeat(100_000)]], 'g');
    await expect(index(buildTar(...Array(400).fill(comment)))).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_LAYER_TOO_LARGE',
    });
  });

  it('returns ranges within the file or a typed error, for any bytes', async () => {
    const sound = buildTar({ path: 'a', content: 'x' }, { path: 'b', content: 'y'.repeat(700) });
    const flips = fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), {
      minLength: 1,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(flips, fc.nat(sound.length), async (changes, length) => {
        const tar = Buffer.from(sound);
        for (const [at, value] of changes) tar[at] = value;
        const cut = tar.subarray(0, length);
        try {
          for (const { start, size } of (await index(cut)).values()) {
            expect(start + size).toBeLessThanOrEqual(cut.length);
          }
        } catch (error) {
          const code = expect.stringMatching(/_(IMAGE_INVALID|LAYER_TOO_LARGE)$/);
          expect(error).toMatchObject({ code });
        }
      }),
      { numRuns: 200 },
    );
  });
});

it('quotes the beginning of an archive’s tags', async () => {
  const tag = 'x'.repeat(20_000);
  const entry = { Config: 'c.json', RepoTags: Array(60).fill(tag), Layers: ['l'] };
  const manifest = Buffer.from(JSON.stringify([entry, entry]));
  const archive = {
    name: 'a',
    paths: new Set(['manifest.json']),
    openFile: () =>
      Promise.resolve({
        size: manifest.length,
        chunks: () => Readable.from([manifest]),
        close: () => Promise.resolve(),
      }),
    close: () => Promise.resolve(),
  };
  await expect(readDockerArchive(archive, 'other')).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_IMAGE_INVALID',
    details: { tags: Array(50).fill('x'.repeat(200)) },
  });
});

describe('parseSavedIndex', () => {
  const layer = {
    version: 1,
    id: 'a'.repeat(64),
    sizeBytes: 4096,
    diffId: `sha256:${'b'.repeat(64)}`,
    mtimeCeiling: null,
    opaqueRoot: false,
    entries: 1,
    droppedDevices: 0,
    compression: 'lz4',
    createdBy: 'mkfs.erofs 1.8.6',
  };
  const image = {
    version: 1,
    digest: `sha256:${'c'.repeat(64)}`,
    layers: [layer.id],
    diffIds: [layer.diffId],
    config: { env: [], entrypoint: [], cmd: [], workingDir: '', user: '', labels: {} },
    architecture: 'amd64',
  };
  const sound = {
    version: 1,
    createdAt: '2026-01-01T00:00:00.000Z',
    stacks: [{ stack: 'a', revision: 1, image: image.digest }],
    images: [image],
    layers: [layer],
  };
  const parse = (value: unknown) => parseSavedIndex(Buffer.from(JSON.stringify(value)));

  it('refuses a list whose length cannot be checked', () => {
    const index = {
      version: 1,
      createdAt: '2026-01-01T00:00:00Z',
      stacks: { length: { toString: 1 } },
    };
    expect(() => parseSavedIndex(Buffer.from(JSON.stringify(index)))).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_SAVE_INVALID' }),
    );
  });

  it('accepts a sound index', () => {
    expect(parse(sound)).toEqual(sound);
  });

  it.each(
    Object.entries({
      'another version': { ...sound, version: 2 },
      'an unknown field': { ...sound, more: 1 },
      'no stack': { ...sound, stacks: [] },
      'a stack twice': { ...sound, stacks: [...sound.stacks, ...sound.stacks] },
      'an invalid name': { ...sound, stacks: [{ ...sound.stacks[0], stack: '../x' }] },
      'a missing image': { ...sound, images: [] },
      'an image twice': { ...sound, images: [image, image] },
      'a missing layer': { ...sound, layers: [] },
      'a layer with an invalid id': { ...sound, layers: [{ ...layer, id: '../../x' }] },
    }),
  )('refuses %s', (_, value) => {
    expect(() => parse(value)).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_SAVE_INVALID' }),
    );
  });
});

describe('createSavedReader', () => {
  const tar = buildTar({ path: 'one', content: 'x'.repeat(1000) }, { path: 'two', content: 'y' });
  async function* pieces(bytes: Buffer, length: number): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += length)
      yield await Promise.resolve(bytes.subarray(at, at + length));
  }

  it.each([1, 511, 512, 513, 100_000])('reads the same from pieces of %i bytes', async (length) => {
    const reader = createSavedReader(pieces(tar, length));
    expect(await reader.next()).toEqual({ path: 'one', size: 1000 });
    expect((await reader.whole(1000)).toString()).toBe('x'.repeat(1000));
    expect(await reader.next()).toEqual({ path: 'two', size: 1 });
    expect(await reader.next()).toBeUndefined();
  });

  it.each([
    ['a cut', tar.subarray(0, -513)],
    ['a second end', Buffer.concat([tar, Buffer.from('x')])],
    ['half an end', Buffer.concat([tar.subarray(0, -512), Buffer.alloc(512, 'x')])],
    ['a link', buildTar({ path: 'a', type: '2', link: 'b' })],
    ['no tar', Buffer.alloc(1024, 'x')],
    ['nothing', toBlocks(Buffer.alloc(0))],
  ])('refuses %s', async (_, bytes) => {
    const reader = createSavedReader(pieces(bytes, 512));
    const readAll = async () => {
      while ((await reader.next()) !== undefined);
    };
    await expect(readAll()).rejects.toMatchObject({ code: 'ERR_STACKSHIM_SAVE_INVALID' });
  });
});

describe('shiftCapability', () => {
  const revision2 = Buffer.from('0100000200200000000000000000000000000000', 'hex');
  const rootOf = (id: number) => {
    const root = Buffer.alloc(4);
    root.writeUInt32LE(id);
    return root;
  };
  const revision3 = (id: number) =>
    Buffer.concat([Buffer.from('01000003', 'hex'), revision2.subarray(4), rootOf(id)]);

  it('maps the task’s own root to root of the file', () => {
    expect(shiftCapability(revision3(1_879_048_192), 1_879_048_192)).toEqual(revision2);
    expect(shiftCapability(revision3(0), 0)).toEqual(revision2);
  });

  it.each([
    ['of another root', revision3(7)],
    ['of revision 2', revision2],
    ['that is none', Buffer.from('x')],
  ])('does not change the value %s', (_, value) => {
    expect(shiftCapability(value, 1_879_048_192)).toEqual(value);
  });
});

describe('shiftBuildCapability', () => {
  const revision2 = Buffer.from('0100000200200000000000000000000000000000', 'hex');
  const revision3 = (id: number) => {
    const value = Buffer.concat([revision2, Buffer.alloc(4)]);
    value.writeUInt32LE(0x0300_0001, 0);
    value.writeUInt32LE(id, revision2.length);
    return value;
  };

  it('maps the root of any build range to root of the file: an image does not reveal the range', () => {
    for (const index of [0, 1, BUILD_RANGE_COUNT - 1]) {
      const root = FIRST_BUILD_ID + index * IDS_PER_SLOT;
      expect(shiftBuildCapability(revision3(root))).toEqual(revision2);
    }
  });

  it.each([
    ['of another root', revision3(7)],
    ['of an id within a range', revision3(FIRST_BUILD_ID + 1)],
    [
      'of the id after the last range',
      revision3(FIRST_BUILD_ID + BUILD_RANGE_COUNT * IDS_PER_SLOT),
    ],
    ['of a slot', revision3(FIRST_BUILD_ID - IDS_PER_SLOT)],
    ['of revision 2', revision2],
    ['that is none', Buffer.from('x')],
  ])('does not change the value %s', (_, value) => {
    expect(shiftBuildCapability(value)).toEqual(value);
  });
});

describe('a message of skopeo', () => {
  it.each([
    [
      String.raw`run skopeo: exit 1: time="2026-02-03T04:05:06Z" level=fatal msg="pinging \"h\": refused"`,
      'run skopeo: exit 1: pinging "h": refused',
    ],
    ['time="x" level=fatal msg="cut o', 'time="x" level=fatal msg="cut o'],
    [String.raw`time="x" level=info msg="\x00"`, String.raw`time="x" level=info msg="\x00"`],
    ['Copying blob sha256:12', 'Copying blob sha256:12'],
  ])('%j becomes %j', (said, told) => {
    expect(toPlain(said)).toBe(told);
  });
});
