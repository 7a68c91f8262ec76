/** Imports from OCI layouts: stored once, completely, and the same everywhere. */
import { readFileSync, rmSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { importOciLayout } from '../../src/exchange/oci-image/import-oci-layout.ts';
import type { BuildProgress } from '../../src/exchange/progress.ts';
import { readImage } from '../../src/store/images/image.ts';
import { readLayerRecord } from '../../src/store/layers/layer-record.ts';
import { readHostFacts } from '../../src/sys/host-facts.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import {
  INDEX_TYPE,
  sha256,
  toConfig,
  writeBlob,
  writeIndex,
  writeSmallOciLayout,
} from '../support/images/small-oci-layout.ts';
import { makeTar } from '../support/images/small-tar.ts';
import { buildTar } from '../support/images/tar-builder.ts';
import { layoutAt } from '../support/stacks/stack-store.ts';
import { LOWER, UPPER, useOciLab } from './support/oci-lab.ts';

const { architecture } = readHostFacts();
const lab = useOciLab();

describe('importOciLayout', () => {
  it('stores layers, then the image, under the digest of its manifest', async () => {
    const digest = await writeSmallOciLayout(lab.source, {
      layers: [LOWER, UPPER],
      env: ['A=b=c'],
      user: '1000:1000',
      workingDir: '/srv',
      labels: { 'io.stackshim.epoch': '1600000000' },
    });
    const image = await lab.take();
    expect(image).toMatchObject({
      digest,
      diffIds: [sha256(LOWER), sha256(UPPER)],
      architecture,
      config: {
        env: ['A=b=c'],
        entrypoint: [],
        cmd: ['/bin/sh'],
        user: '1000:1000',
        workingDir: '/srv',
      },
    });
    expect(readImage(lab.layout, image.digest)).toEqual(image);
    for (const id of image.layers)
      expect(readLayerRecord(lab.layout, id).mtimeCeiling).toBe(1_600_000_000);
    expect(lab.list('tmp')).toEqual([]);
  });

  it('does not store a layer again, and reports that', async () => {
    await writeSmallOciLayout(lab.source, { layers: [LOWER] });
    const first = await lab.take();
    rmSync(lab.source, { recursive: true });
    await writeSmallOciLayout(lab.source, { layers: [LOWER, UPPER] });
    const told: BuildProgress[] = [];
    const second = await lab.take({ onProgress: (progress) => told.push(progress) });
    expect(second.layers[0]).toBe(first.layers[0]);
    expect(lab.list('layers').filter((name) => name.endsWith('.erofs'))).toHaveLength(2);
    expect(told).toEqual([
      {
        kind: 'layer',
        layer: 1,
        layers: 2,
        doneBytes: LOWER.length,
        totalBytes: LOWER.length,
        reused: true,
      },
      {
        kind: 'layer',
        layer: 2,
        layers: 2,
        doneBytes: UPPER.length,
        totalBytes: UPPER.length,
        reused: false,
      },
    ]);
  });

  it('reports device nodes, which layers cannot contain', async () => {
    const node = (path: string) => ({ path, type: '3' });
    await writeSmallOciLayout(lab.source, {
      layers: [buildTar({ path: 'a' }, node('dev/a'), node('dev/b'))],
    });
    const told: BuildProgress[] = [];
    await lab.take({ onProgress: (progress) => told.push(progress) });
    expect(told.filter(({ kind }) => kind === 'warning')).toEqual([
      { kind: 'warning', step: 'import', text: 'layer 1: device nodes left out, 2 of them' },
    ]);
  });

  it('gives the same image and layers in another root folder', async () => {
    await writeSmallOciLayout(lab.source, { layers: [LOWER, UPPER] });
    const image = await lab.take();
    const elsewhere = layoutAt(`${lab.folder}/elsewhere`);
    expect(
      await importOciLayout(elsewhere, { system: linuxSystem, directory: lab.source }),
    ).toEqual(image);
  });

  it('accepts gzip layers and docker media types', async () => {
    const packed = gzipSync(LOWER);
    const dockerLayer = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
    const layer = await writeBlob(lab.source, dockerLayer, packed);
    const config = await writeBlob(
      lab.source,
      'application/vnd.docker.container.image.v1+json',
      JSON.stringify({
        ...toConfig({ layers: [LOWER] }),
        config: { Env: null, Labels: null, Cmd: null },
      }),
    );
    const type = 'application/vnd.docker.distribution.manifest.v2+json';
    const manifest = JSON.stringify({ schemaVersion: 2, mediaType: type, config, layers: [layer] });
    await writeIndex(lab.source, await writeBlob(lab.source, type, manifest));
    expect(await lab.take()).toMatchObject({
      diffIds: [sha256(LOWER)],
      config: { env: [], entrypoint: [], cmd: [], workingDir: '', user: '', labels: {} },
    });
  });

  it('selects this machine’s image from an index of several platforms', async () => {
    await writeSmallOciLayout(lab.source, { layers: [LOWER] });
    const index = JSON.parse(readFileSync(`${lab.source}/index.json`, 'utf8'));
    const [manifest] = index.manifests;
    const foreign = {
      ...manifest,
      digest: sha256('absent'),
      platform: { os: 'linux', architecture: 's390x' },
    };
    const own = { ...manifest, platform: { os: 'linux', architecture } };
    const nested = JSON.stringify({ schemaVersion: 2, manifests: [foreign, own] });
    await writeIndex(lab.source, await writeBlob(lab.source, INDEX_TYPE, nested));
    expect((await lab.take()).digest).toBe(manifest.digest);
  });

  it('leaves out what an opaque root hides', async () => {
    const opaque = makeTar([{ path: '.wh..wh..opq' }, { path: 'only', content: 'x' }]);
    await writeSmallOciLayout(lab.source, { layers: [LOWER, opaque, UPPER] });
    const image = await lab.take();
    expect(image.diffIds).toEqual([sha256(opaque), sha256(UPPER)]);
    expect(image.layers).toHaveLength(2);
  });

  it('stops when its caller cancels, and stores no image', async () => {
    await writeSmallOciLayout(lab.source, { layers: [LOWER, UPPER] });
    const stop = new AbortController();
    const importing = lab.take({ signal: stop.signal, onProgress: () => stop.abort() });
    await expect(importing).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_BUILD_ABORTED',
      kind: 'aborted',
    });
    expect(lab.list('images')).toEqual([]);
    expect(lab.list('tmp')).toEqual([]);
  });

  it('ignores errors of a listener', async () => {
    await writeSmallOciLayout(lab.source, { layers: [LOWER] });
    const onProgress = () => {
      throw new Error('broken listener');
    };
    await expect(lab.take({ onProgress })).resolves.toMatchObject({ diffIds: [sha256(LOWER)] });
  });
});
