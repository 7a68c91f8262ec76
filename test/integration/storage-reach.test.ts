/** What `collectGarbage` checks beside revisions: generations, and tasks of other run folders. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { mountedLayerDir, taskDir } from '../../src/core/layout.ts';
import { readImage } from '../../src/store/images/image.ts';
import { mountLayer } from '../../src/store/layers/mount-layer.ts';
import { readGenerationNumbers } from '../../src/store/stacks/generations.ts';
import { rollbackRelease } from '../../src/store/stacks/release.ts';
import { rollbackStack } from '../../src/store/stacks/rollback.ts';
import { readStackHistory } from '../../src/store/stacks/stack-history.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { type Collection, collectGarbage } from '../../src/upkeep/collect-garbage.ts';
import { removeStacks } from '../../src/upkeep/remove-stacks.ts';
import { verifyStore } from '../../src/upkeep/verify-store.ts';
import { NOW, stackName } from '../support/stacks/stack-store.ts';
import { useStorageLab } from '../support/stacks/storage-lab.ts';
import { keepTask } from './support/keep-task.ts';

const lab = useStorageLab();
const PYTHON = stackName('python-3.13');

const collect = (options: Parameters<typeof collectGarbage>[1] = {}): Promise<Collection> =>
  collectGarbage(lab.installation, options);

describe('generations', () => {
  const rollBack = () => rollbackStack(lab.layout, linuxSystem, { stack: PYTHON, now: NOW });

  it('are removed if no rollback can lead to them, and rollbacks go on as before', async () => {
    const seeds = Array.from({ length: 14 }, (_, index) => `seed ${index}`);
    for (const seed of seeds) await lab.add(PYTHON, seed);
    expect(await collect()).toMatchObject({ revisions: [], generations: [] });

    const planned = await collect({ keepRevisions: 2, dryRun: true });
    expect(planned.generations).toEqual([1, 2, 3]);
    expect(await collect({ keepRevisions: 2 })).toEqual({ ...planned, dryRun: false });
    expect(readGenerationNumbers(lab.layout)).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    expect((await verifyStore(lab.layout)).damage).toEqual([]);
    expect(readStackHistory(lab.layout, PYTHON)).toMatchObject([
      { revision: 14, state: 'current' },
      { revision: 13, state: 'earlier' },
    ]);
    expect(await rollBack()).toMatchObject({ from: 14, to: 13 });
    await expect(rollBack()).rejects.toMatchObject({ code: 'ERR_STACKSHIM_STACK_NOT_FOUND' });
    const gone = rollbackRelease(lab.layout, linuxSystem, { to: 3, now: NOW });
    await expect(gone).rejects.toMatchObject({ code: 'ERR_STACKSHIM_STACK_NOT_FOUND' });

    // A number always means the same generation.
    expect((await lab.add(PYTHON, 'next')).revision).toBe(15);
    expect(readGenerationNumbers(lab.layout).at(-1)).toBe(16);
  });
});

describe('a task of another run folder', () => {
  it('keeps its image and its stack, because its layers are mounted there', async () => {
    const one = await lab.add(PYTHON, 'one');
    await lab.add(PYTHON, 'two');
    const elsewhere = { ...lab.layout, run: `${lab.layout.run}/else where` };
    mkdirSync(elsewhere.run);
    const { layers } = readImage(lab.layout, one.image);
    for (const id of layers) mountLayer(linuxSystem, elsewhere, id);
    keepTask(elsewhere, 'kept', one);
    expect(await collect({ keepRevisions: 0 })).toMatchObject({ images: [], layers: [] });
    const removing = removeStacks(lab.layout, linuxSystem, { names: [PYTHON], now: NOW });
    await expect(removing).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_STACK_IN_USE',
      details: { tasks: ['kept'] },
    });

    rmSync(taskDir(elsewhere, parseTaskId('kept')), { recursive: true });
    const [shared, layer] = layers;
    if (shared === undefined || layer === undefined) throw new Error('an image of two layers');
    expect(await collect({ keepRevisions: 0 })).toMatchObject({
      images: [one.image],
      layers: [{ id: layer }],
    });
    expect(existsSync(mountedLayerDir(elsewhere, layer))).toBe(false);
    // The layer that both images need stays mounted.
    expect(existsSync(`${mountedLayerDir(elsewhere, shared)}/base`)).toBe(true);
    linuxSystem.detachMount(mountedLayerDir(elsewhere, shared));
  });

  it('is named once, even if that folder is bind-mounted elsewhere with its layers', async () => {
    const one = await lab.add(PYTHON, 'one');
    for (const id of readImage(lab.layout, one.image).layers) {
      mountLayer(linuxSystem, lab.layout, id);
    }
    keepTask(lab.layout, 'kept', one);
    const elsewhere = mkdtempSync('/var/tmp/stackshim-elsewhere-');
    execFileSync('mount', ['--rbind', lab.layout.run, elsewhere]);
    try {
      const removing = removeStacks(lab.layout, linuxSystem, { names: [PYTHON], now: NOW });
      await expect(removing).rejects.toMatchObject({
        message: `remove stack ${PYTHON}: used by task kept`,
        details: { tasks: ['kept'] },
      });
    } finally {
      execFileSync('umount', ['--recursive', '--lazy', elsewhere]);
      rmdirSync(elsewhere);
    }
  });
});
