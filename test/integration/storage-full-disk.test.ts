/** A full disk below the root folder: nothing new can be stored, and every stack stays usable. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readlinkSync, rmSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { currentLink, tmpDir } from '../../src/core/layout.ts';
import { flipStacks } from '../../src/store/stacks/flip-stacks.ts';
import { resolveStack } from '../../src/store/stacks/resolve-stack.ts';
import { holdStore } from '../../src/store/store-lease.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { collectGarbage } from '../../src/upkeep/collect-garbage.ts';
import { verifyStore } from '../../src/upkeep/verify-store.ts';
import { addSeeded, digestOf, NOW, stackName } from '../support/stacks/stack-store.ts';
import { useStorageLab } from '../support/stacks/storage-lab.ts';

const lab = useStorageLab();
const PYTHON = stackName('python-3.13');
const FULL = { code: 'ERR_STACKSHIM_DISK_FULL', kind: 'exhausted' };

beforeEach(() => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=700', 'none', lab.layout.root]);
});
afterEach(() => {
  execFileSync('umount', [lab.layout.root]);
});

const filler = () => `${lab.layout.root}/filler`;

/** Fills the disk to the last byte. */
function fillDisk(): void {
  const fd = openSync(filler(), 'w');
  try {
    for (;;) writeSync(fd, Buffer.alloc(4096));
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' });
  } finally {
    closeSync(fd);
  }
}

const flip = (revision: number) =>
  flipStacks(lab.layout, linuxSystem, {
    changes: new Map([[PYTHON, revision]]),
    now: NOW,
    reason: 'test',
  });

/** Lists names below a folder of the root folder, for comparison. */
const tree = () => readdirSync(lab.layout.root, { recursive: true }).map(String).sort();

it('a full disk fails a flip, and does not change the current generation', async () => {
  await lab.add(PYTHON, 'one');
  await lab.add(PYTHON, 'two');
  fillDisk();
  const before = tree();
  await expect(flip(1)).rejects.toMatchObject(FULL);
  expect(tree()).toEqual(before);
  expect(readlinkSync(currentLink(lab.layout))).toBe('generations/2.json');
  expect(resolveStack(lab.layout, { name: PYTHON }).revision).toBe(2);
  rmSync(filler());
  await flip(1);
  expect(resolveStack(lab.layout, { name: PYTHON }).revision).toBe(1);
  expect((await verifyStore(lab.layout)).damage).toEqual([]);
});

it('a full disk fails a new revision, and leaves none', async () => {
  await lab.add(PYTHON, 'one');
  await lab.import('two');
  fillDisk();
  const before = tree();
  await expect(addSeeded(lab.layout, PYTHON, 'three')).rejects.toMatchObject(FULL);
  expect(tree()).toEqual(before);
  expect((await verifyStore(lab.layout)).damage).toEqual([]);
});

it('a full disk fails an import, and leaves nothing of it', async () => {
  await lab.add(PYTHON, 'one');
  const before = tree();
  fillDisk();
  await expect(lab.add(PYTHON, 'two')).rejects.toMatchObject(FULL);
  rmSync(filler());
  expect(tree()).toEqual(before);
  expect(readdirSync(tmpDir(lab.layout))).toEqual([]);
  await lab.add(PYTHON, 'two');
  expect(resolveStack(lab.layout, { name: PYTHON }).revision).toBe(2);
});

it('collection frees space on a full disk: of old revisions in its second run', async () => {
  await lab.add(PYTHON, 'one');
  await lab.add(PYTHON, 'two');
  const unused = await lab.import('unused');
  await collectGarbage(lab.installation, { dryRun: true });
  fillDisk();
  expect(await collectGarbage(lab.installation, { keepRevisions: 0 })).toMatchObject({
    revisions: [],
    images: [unused.digest],
    obstacles: [FULL],
  });
  expect(await collectGarbage(lab.installation, { keepRevisions: 0 })).toMatchObject({
    revisions: [{ stack: PYTHON, revision: 1 }],
    layers: [{ sizeBytes: 4096 }],
    obstacles: [],
  });
});

it('a full disk fails a pin, which then protects nothing', async () => {
  const lease = await holdStore(lab.layout, linuxSystem);
  fillDisk();
  await expect(lease.pin(digestOf('one'))).rejects.toMatchObject(FULL);
  lease.release();
  rmSync(filler());
  expect(readdirSync(`${lab.layout.root}/locks/leases`)).toEqual([]);
});
