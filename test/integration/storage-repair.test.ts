/** A layer with damaged content but the right size is repaired when it is imported or built again. */
import { readFileSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Layout, layerFile } from '../../src/core/layout.ts';
import { readImage } from '../../src/store/images/image.ts';
import { mountLayer, remountLayer } from '../../src/store/layers/mount-layer.ts';
import { resolveStack } from '../../src/store/stacks/resolve-stack.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { verifyStore } from '../../src/upkeep/verify-store.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/stacks/build-lab.ts';
import { stackName } from '../support/stacks/stack-store.ts';
import { useStorageLab } from '../support/stacks/storage-lab.ts';
import { damageLayer } from './support/damage-layer.ts';

const damageOf = async (layout: Layout) =>
  (await verifyStore(layout)).damage.map(({ kind }) => kind);

describe('an import', () => {
  const lab = useStorageLab();

  it('replaces a damaged layer, even if it is mounted', async () => {
    const { image } = await lab.add('python-3.13', 'content');
    const { layers } = readImage(lab.layout, image);
    const [shared, own] = layers;
    if (shared === undefined || own === undefined) throw new Error('an image of two layers');
    const target = mountLayer(linuxSystem, lab.layout, own);
    const inode = statSync(layerFile(lab.layout, shared)).ino;
    damageLayer(lab.layout, own);
    expect(await damageOf(lab.layout)).toEqual(['layer']);

    const again = await lab.add('python-3.13', 'content');
    expect(readImage(lab.layout, again.image).layers).toEqual(layers);
    expect(await damageOf(lab.layout)).toEqual([]);
    expect(readFileSync(`${target}/seed`, 'utf8')).toBe('content');
    expect(mountLayer(linuxSystem, lab.layout, own)).toBe(target);
    // Sound layers do not change.
    expect(statSync(layerFile(lab.layout, shared)).ino).toBe(inode);
  });

  it('mounts nothing that was not mounted', async () => {
    const { image } = await lab.add('python-3.13', 'content');
    const [shared] = readImage(lab.layout, image).layers;
    if (shared === undefined) throw new Error('an image of two layers');
    remountLayer(linuxSystem, lab.layout, shared);
    expect(() => statSync(`${lab.layout.run}/layers/${shared}`)).toThrow(
      expect.objectContaining({ code: 'ENOENT' }),
    );
  });
});

describe('a build', () => {
  const lab = useBuildLab();
  const SMOKE = `LABEL io.stackshim.smoke='["cat", "/bin/busybox"]'`;
  const layersOf = (name: string) => {
    const { image } = resolveStack(lab.layout, { name: stackName(name) });
    return image.layers;
  };

  it('of an unchanged stack succeeds although a layer is damaged', async () => {
    const directory = lab.writeStack('tiny-1', [...BUSYBOX_IMAGE, SMOKE]);
    await lab.build(directory);
    const [layer] = layersOf('tiny-1');
    if (layer === undefined) throw new Error('an image of one layer');
    damageLayer(lab.layout, layer);
    expect(await lab.build(directory, { ifChanged: true })).toMatchObject({ status: 'built' });
    expect(layersOf('tiny-1')).toEqual([layer]);
    expect(await damageOf(lab.layout)).toEqual([]);
    expect(await lab.build(directory, { ifChanged: true })).toMatchObject({ status: 'unchanged' });
  });

  it('on a damaged base repairs the base if the builder has its copy, and otherwise names the damage', async () => {
    const atop = lab.writeStack('atop-1', ['FROM localhost/tiny-1', 'RUN echo 1 > /1']);
    await lab.build(atop);
    const [base] = layersOf('tiny-1');
    if (base === undefined) throw new Error('an image of one layer');
    damageLayer(lab.layout, base);
    await lab.build(atop);
    expect(layersOf('atop-1')[0]).toBe(base);
    expect(await damageOf(lab.layout)).toEqual([]);

    await lab.build(lab.writeStack('tiny-2', [...BUSYBOX_IMAGE, 'RUN echo 2 > /2', SMOKE]));
    const [uncopied] = layersOf('tiny-2');
    if (uncopied === undefined) throw new Error('an image of one layer');
    damageLayer(lab.layout, uncopied);
    const onIt = lab.writeStack('atop-2', ['FROM localhost/tiny-2', 'RUN echo 1 > /1']);
    await expect(lab.build(onIt)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_LAYER_CORRUPT',
      details: { path: layerFile(lab.layout, uncopied) },
    });
    expect(lab.hasWork()).toBe(false);
  });
});
