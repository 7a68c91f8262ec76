/** Import into a store: the same tar gives the same layer, and a failure leaves nothing. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isLayerId } from '../../src/core/ids.ts';
import { layerFile, layerRecordFile, layersDir } from '../../src/core/layout.ts';
import { importLayer } from '../../src/store/layers/import-layer.ts';
import { findLayerByDiffId, readLayerRecord } from '../../src/store/layers/layer-record.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { type LayerLab, openLayerLab } from '../support/images/layer-lab.ts';
import { buildTar } from '../support/images/tar-builder.ts';

const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex');
const tar = buildTar(
  { path: 'bin/', type: '5' },
  { path: 'bin/tool', content: 'tool '.repeat(5000), mode: 0o755 },
  { path: 'dev/null', type: '3' },
);

let lab: LayerLab;
beforeEach(() => {
  lab = openLayerLab();
});
afterEach(() => lab.dispose());

/** Names in the store, without partial files. */
function stored(): readonly string[] {
  expect(lab.leftovers()).toEqual([]);
  return readdirSync(layersDir(lab.layout)).sort();
}

describe('a stored layer', () => {
  it('is read in small extents, however well its content compresses', async () => {
    const zeros = Buffer.alloc(8 * 1024 * 1024).toString('latin1');
    const { record } = await lab.import(buildTar({ path: 'zeros', content: zeros }));
    const file = layerFile(lab.layout, record.id);
    const told = execFileSync('dump.erofs', ['-e', '--path=/zeros', file], { encoding: 'utf8' });
    const lengths = [...told.matchAll(/^ *\d+: +\d+\.\. +\d+ \| +(\d+) :/gm)].map((one) =>
      Number(one[1]),
    );
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(zeros.length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(256 * 1024);
  });

  it('is named by its file, described by its record, and read-only', async () => {
    const { record, digest, existed } = await lab.import(tar);
    const file = layerFile(lab.layout, record.id);
    expect(sha256(readFileSync(file))).toBe(record.id);
    expect(statSync(file)).toMatchObject({ size: record.sizeBytes, uid: 0, gid: 0 });
    expect(statSync(file).mode & 0o777).toBe(0o400);
    expect(record).toEqual({
      version: 1,
      id: record.id,
      sizeBytes: statSync(file).size,
      diffId: `sha256:${sha256(tar)}`,
      mtimeCeiling: null,
      opaqueRoot: false,
      entries: 2,
      droppedDevices: 1,
      compression: 'lz4',
      createdBy: expect.stringMatching(/^mkfs\.erofs \d+\.\d+/),
    });
    expect(digest).toBe(record.diffId);
    expect(existed).toBe(false);
    expect(readLayerRecord(lab.layout, record.id)).toEqual(record);
    expect(stored()).toEqual([`${record.id}.erofs`, `${record.id}.json`]);
  });

  it('is the same from the same tar, plain or gzip, and does not change', async () => {
    const first = await lab.import(tar);
    const before = statSync(layerFile(lab.layout, first.record.id));
    const packed = gzipSync(tar);
    const second = await lab.import(packed, {
      compression: 'gzip',
      expectedDiffId: first.record.diffId,
      expectedDigest: `sha256:${sha256(packed)}`,
      expectedSize: packed.length,
    });
    expect(second).toEqual({
      record: first.record,
      digest: `sha256:${sha256(packed)}`,
      existed: true,
    });
    expect(statSync(layerFile(lab.layout, first.record.id)).ino).toBe(before.ino);
    expect(stored()).toHaveLength(2);
    const elsewhere = openLayerLab();
    try {
      expect((await elsewhere.import(tar)).record).toEqual(first.record);
    } finally {
      elsewhere.dispose();
    }
  });

  it('is stored again if its record or its file was damaged', async () => {
    const { record } = await lab.import(tar);
    writeFileSync(layerRecordFile(lab.layout, record.id), '{');
    expect(await lab.import(tar)).toMatchObject({ record, existed: false });
    truncateSync(layerFile(lab.layout, record.id), 100);
    expect(await lab.import(tar)).toMatchObject({ record, existed: false });
    expect(sha256(readFileSync(layerFile(lab.layout, record.id)))).toBe(record.id);
  });

  it('reports how much of its tar was read', async () => {
    const seen: number[] = [];
    await lab.import(tar, { onProgress: (bytes) => seen.push(bytes) });
    expect(seen.at(-1)).toBe(tar.length);
  });

  it('is found by its DiffID and its ceiling of times', async () => {
    const { diffId } = (await lab.import(tar)).record;
    const clamped = (await lab.import(tar, { mtimeCeiling: 1000 })).record;
    const plain = findLayerByDiffId(lab.layout, diffId);
    expect(plain).toMatchObject({ diffId, mtimeCeiling: null });
    expect(findLayerByDiffId(lab.layout, diffId, 1000)).toEqual(clamped);
    expect(clamped.id).not.toBe(plain?.id);
    expect(findLayerByDiffId(lab.layout, diffId, 1001)).toBeUndefined();
    expect(findLayerByDiffId(lab.layout, `sha256:${'0'.repeat(64)}`)).toBeUndefined();
    truncateSync(layerFile(lab.layout, clamped.id), 100);
    expect(findLayerByDiffId(lab.layout, diffId, 1000)).toBeUndefined();
  });
});

describe('a layer record', () => {
  const id = 'a'.repeat(64);
  const corrupt = expect.objectContaining({ code: 'ERR_STACKSHIM_LAYER_CORRUPT' });
  it.each([
    ['missing', undefined],
    ['not JSON', 'x'],
    ['of another shape', '{"version":1}'],
  ])('that is %s is a corrupt layer', (_, text) => {
    if (!isLayerId(id)) throw new Error('not a layer id');
    mkdirSync(layersDir(lab.layout), { recursive: true });
    if (text !== undefined) writeFileSync(layerRecordFile(lab.layout, id), text);
    expect(() => readLayerRecord(lab.layout, id)).toThrow(corrupt);
  });

  it('of a later version is refused by name', () => {
    if (!isLayerId(id)) throw new Error('not a layer id');
    mkdirSync(layersDir(lab.layout), { recursive: true });
    writeFileSync(layerRecordFile(lab.layout, id), JSON.stringify({ version: 2 }));
    const newer = expect.objectContaining({ code: 'ERR_STACKSHIM_FORMAT_NEWER' });
    expect(() => readLayerRecord(lab.layout, id)).toThrow(newer);
  });

  it('of another layer is a corrupt layer', async () => {
    const { record } = await lab.import(tar);
    if (!isLayerId(id)) throw new Error('not a layer id');
    writeFileSync(layerRecordFile(lab.layout, id), JSON.stringify(record));
    expect(() => readLayerRecord(lab.layout, id)).toThrow(corrupt);
  });
});

describe('a failed import leaves nothing', () => {
  it.each([
    ['DiffID', { expectedDiffId: `sha256:${'0'.repeat(64)}` }],
    ['digest', { expectedDigest: `sha256:${'0'.repeat(64)}` }],
    ['size', { expectedSize: 1 }],
  ])('for another %s than expected', async (what, expected) => {
    await expect(lab.import(tar, expected)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_LAYER_INVALID',
      details: { what },
    });
    expect(stored()).toEqual([]);
  });

  it('when it is aborted before its start or during it', async () => {
    const aborted = { code: 'ERR_STACKSHIM_TASK_ABORTED', kind: 'aborted' };
    await expect(lab.import(tar, { signal: AbortSignal.abort() })).rejects.toMatchObject(aborted);
    const controller = new AbortController();
    async function* endless(): AsyncGenerator<Buffer> {
      yield buildTar({ path: 'a', content: Buffer.alloc(1024 * 1024) }).subarray(0, 512 + 1024);
      controller.abort();
      await new Promise(setImmediate);
      for (;;) yield Buffer.alloc(512);
    }
    const importing = importLayer(endless(), {
      layout: lab.layout,
      system: linuxSystem,
      compression: 'none',
      signal: controller.signal,
    });
    await expect(importing).rejects.toMatchObject(aborted);
    expect(stored()).toEqual([]);
  });

  it('when its input fails: the error is the input’s own, and the input is closed', async () => {
    const input = new Readable({
      read() {
        this.destroy(Object.assign(new Error('read failed'), { code: 'EIO' }));
      },
    });
    await expect(
      importLayer(input, { layout: lab.layout, system: linuxSystem, compression: 'none' }),
    ).rejects.toMatchObject({ code: 'ERR_STACKSHIM_DISK_FAILED', cause: { code: 'EIO' } });
    expect(input.destroyed).toBe(true);
    expect(stored()).toEqual([]);
  });

  it('when the disk is full', async () => {
    mkdirSync(lab.layout.root);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', lab.layout.root]);
    try {
      const large = buildTar({ path: 'a', content: randomBytes(8 * 1024 * 1024) });
      const full = { code: 'ERR_STACKSHIM_DISK_FULL', kind: 'exhausted' };
      await expect(lab.import(large)).rejects.toMatchObject(full);
      expect(stored()).toEqual([]);
      await expect(lab.import(tar)).resolves.toMatchObject({ existed: false });
      execFileSync('sh', ['-c', `cat /dev/zero > ${lab.layout.root}/filler || true`], {
        stdio: 'ignore',
      });
      await expect(lab.import(buildTar({ path: 'b', content: 'other' }))).rejects.toMatchObject(
        full,
      );
      expect(stored()).toHaveLength(2);
    } finally {
      linuxSystem.detachMount(lab.layout.root);
    }
  });
});
