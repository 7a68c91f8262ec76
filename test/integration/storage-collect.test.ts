/** `collectGarbage` removes what nothing needs and keeps everything else, even in a damaged store. */
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { LayerId } from '../../src/core/ids.ts';
import { parseTaskId } from '../../src/core/ids.ts';
import {
  currentLink,
  layerFile,
  layerRecordFile,
  mountedLayerDir,
  runtimeVersionsDir,
  taskDir,
  tasksDir,
  tmpDir,
} from '../../src/core/layout.ts';
import { collectImages } from '../../src/store/images/collect-images.ts';
import { imageFile, isImageStored, readImage } from '../../src/store/images/image.ts';
import { mountLayer } from '../../src/store/layers/mount-layer.ts';
import { addRevision } from '../../src/store/stacks/change-revisions.ts';
import { flipStacks } from '../../src/store/stacks/flip-stacks.ts';
import {
  type Revision,
  readRevisionNumbers,
  revisionFile,
} from '../../src/store/stacks/revisions.ts';
import { temporaryPath } from '../../src/store/stale-files.ts';
import { holdStore, pinInStore, whileNothingIsPinned } from '../../src/store/store-lease.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { readTaskImages } from '../../src/task/records/task-images.ts';
import { type Collection, collectGarbage } from '../../src/upkeep/collect-garbage.ts';
import { verifyStore } from '../../src/upkeep/verify-store.ts';
import { startFixture, waitForLine } from '../support/programs/bun-fixture.ts';
import { NOW, stackName } from '../support/stacks/stack-store.ts';
import { useStorageLab } from '../support/stacks/storage-lab.ts';
import { keepTask } from './support/keep-task.ts';

const lab = useStorageLab();
const PYTHON = stackName('python-3.13');
const holdStoreFixture = new URL('../fixtures/hold-store.ts', import.meta.url);

const collect = (options: Parameters<typeof collectGarbage>[1] = {}): Promise<Collection> =>
  collectGarbage(lab.installation, options);

const NOTHING = {
  generations: [],
  bases: [],
  revisions: [],
  images: [],
  layers: [],
  packages: [],
  builds: [],
  files: [],
  volumes: 0,
  reports: [],
  freedBytes: 0,
  obstacles: [],
};

/** The layer that only this revision has. */
function ownLayer(revision: Pick<Revision, 'image'>): LayerId {
  const own = readImage(lab.layout, revision.image).layers[1];
  if (own === undefined) throw new Error('an image of two layers');
  return own;
}

const isStored = (id: LayerId) =>
  existsSync(layerFile(lab.layout, id)) || existsSync(layerRecordFile(lab.layout, id));

describe('revisions', () => {
  it('are all kept unless a number is given', async () => {
    await lab.add(PYTHON, 'one');
    await lab.add(PYTHON, 'two');
    expect(await collect()).toEqual({ dryRun: false, ...NOTHING });
    expect(readRevisionNumbers(lab.layout, PYTHON)).toEqual([1, 2]);
    expect(lab.layerFiles()).toHaveLength(9);
  });

  it('older than the newest few are removed, with the files that only they need', async () => {
    const [one, two] = [await lab.add(PYTHON, 'one'), await lab.add(PYTHON, 'two')];
    await lab.add(PYTHON, 'three');
    await lab.add('ruby-3.3', 'one');
    const layers = [ownLayer(one), ownLayer(two)];
    const sizeBytes = statSync(layerFile(lab.layout, layers[1] as LayerId)).size;
    expect(await collect({ keepRevisions: 1 })).toMatchObject({
      revisions: [
        { stack: PYTHON, revision: 1 },
        { stack: PYTHON, revision: 2 },
      ],
      // Ruby has the same image as the first revision.
      images: [two.image],
      layers: [{ id: layers[1], sizeBytes }],
      freedBytes: sizeBytes,
    });
    expect(layers.map(isStored)).toEqual([true, false]);
    expect(readRevisionNumbers(lab.layout, PYTHON)).toEqual([3]);
    expect(await collect({ keepRevisions: 1 })).toMatchObject(NOTHING);
    expect((await verifyStore(lab.layout)).damage).toEqual([]);
    // A number always means the same image.
    expect((await lab.add(PYTHON, 'four')).revision).toBe(4);
  });

  it('are kept if they are current, however old', async () => {
    for (const seed of ['one', 'two', 'three', 'four']) await lab.add(PYTHON, seed);
    const changes = new Map([[PYTHON, 2]]);
    await flipStacks(lab.layout, linuxSystem, { changes, now: NOW, reason: 'roll back' });
    await collect({ keepRevisions: 0 });
    expect(readRevisionNumbers(lab.layout, PYTHON)).toEqual([2, 3, 4]);
  });

  it('that were never current are removed, unless their build or import still runs', async () => {
    await lab.add(PYTHON, 'one');
    const lease = await holdStore(lab.layout, linuxSystem);
    const { digest } = await lab.import('two');
    const source = { kind: 'import', reference: 'two' } as const;
    await addRevision(lab.layout, linuxSystem, { stack: PYTHON, image: digest, source, now: NOW });
    expect(await collect({ keepRevisions: 0 })).toMatchObject(NOTHING);
    lease.release();
    expect(await collect()).toMatchObject({
      revisions: [{ stack: PYTHON, revision: 2 }],
      images: [digest],
      layers: [{ sizeBytes: 4096 }],
    });
  });
});

it('are reported by a dry run, which removes nothing', async () => {
  await lab.add(PYTHON, 'one');
  await lab.add(PYTHON, 'two');
  writeFileSync(`${tmpDir(lab.layout)}/4000000-1-0123456789abcdef.erofs`, 'half a layer');
  const before = [lab.layerFiles(), lab.imageFiles()];
  const told = await collect({ keepRevisions: 0, dryRun: true });
  expect(told).toMatchObject({ dryRun: true, revisions: [{ revision: 1 }] });
  expect([lab.layerFiles(), lab.imageFiles()]).toEqual(before);
  expect(readRevisionNumbers(lab.layout, PYTHON)).toEqual([1, 2]);
  expect({ ...(await collect({ keepRevisions: 0 })), dryRun: true }).toEqual(told);
});

it('an import that was never used is removed, even if it is mounted', async () => {
  const image = await lab.import('unused');
  const targets = image.layers.map((id) => mountLayer(linuxSystem, lab.layout, id));
  expect(existsSync(`${targets[1]}/seed`)).toBe(true);
  expect((await collect()).layers.map(({ id }) => id)).toEqual([...image.layers].sort());
  expect([lab.layerFiles(), lab.imageFiles()]).toEqual([[], []]);
  for (const id of image.layers) {
    const target = mountedLayerDir(lab.layout, id);
    expect([existsSync(target), existsSync(`${target}.lock`)]).toEqual([false, false]);
  }
});

describe('the image of a task', () => {
  it('is kept with its layers until the task is removed', async () => {
    const one = await lab.add(PYTHON, 'one');
    await lab.add(PYTHON, 'two');
    keepTask(lab.layout, 'kept', one);
    const layer = ownLayer(one);
    expect(await collect({ keepRevisions: 0 })).toMatchObject({ images: [], layers: [] });
    rmSync(taskDir(lab.layout, parseTaskId('kept')), { recursive: true });
    expect(await collect({ keepRevisions: 0 })).toMatchObject({ layers: [{ id: layer }] });
  });
});

describe('a task that starts while its image is being collected', () => {
  it('keeps the image if its record is written before the last check', async () => {
    const one = await lab.add(PYTHON, 'one');
    const gone = await collectImages(lab.layout, [one.image], () => {
      // The task would notice, and resolve its stack again.
      expect(isImageStored(lab.layout, one.image)).toBe(false);
      keepTask(lab.layout, 'late', one);
      const { images } = readTaskImages(lab.layout);
      return (image) => images.has(image);
    });
    expect(gone).toEqual([]);
    expect(isImageStored(lab.layout, one.image)).toBe(true);
  });
});

describe('a lease', () => {
  it('protects what is pinned in it until it is released', async () => {
    const lease = await holdStore(lab.layout, linuxSystem);
    const image = await lab.import('one');
    expect(await collect()).toMatchObject(NOTHING);
    lease.release();
    lease.release();
    expect(await collect()).toMatchObject({ images: [image.digest] });
  });

  it('does not pin what another build of this process releases meanwhile', async () => {
    const [theirs, ours] = [
      await holdStore(lab.layout, linuxSystem),
      await holdStore(lab.layout, linuxSystem),
    ];
    const { digest: name } = await lab.import('one');
    const others: number[] = [];
    let pinning: Promise<void> | undefined;
    await whileNothingIsPinned(lab.layout, linuxSystem, () => {
      pinning = pinInStore(lab.layout, name);
      theirs.release();
      // One of them gets the number of the closed descriptor.
      for (const file of ['a', 'b', 'c']) others.push(openSync(`${lab.layout.root}/${file}`, 'w'));
      return Promise.resolve();
    });
    await pinning;
    for (const fd of others) closeSync(fd);
    for (const file of ['a', 'b', 'c']) {
      expect(readFileSync(`${lab.layout.root}/${file}`, 'utf8')).toBe('');
      rmSync(`${lab.layout.root}/${file}`);
    }
    expect(ours.pinned).toContain(name);
    ours.release();
  });

  it('is void after its holder was killed', async () => {
    const image = await lab.import('one');
    const names = [image.digest, ...image.layers];
    const holder = startFixture(holdStoreFixture, [lab.layout.root, ...names]);
    await waitForLine(holder, 'held');
    expect(await collect()).toMatchObject(NOTHING);
    holder.kill('SIGKILL');
    await once(holder, 'close');
    expect(await collect()).toMatchObject({ images: [image.digest] });
  });

  it('makes an import store a layer again if the layer was collected after the import found it', async () => {
    const image = await lab.import('one');
    await collect();
    const again = await lab.add(PYTHON, 'one');
    expect(again.image).toBe(image.digest);
    expect(await collect()).toMatchObject(NOTHING);
    expect((await verifyStore(lab.layout)).damage).toEqual([]);
  });
});

describe('a file that a dead process left', () => {
  it('is removed: a layer without a record, or a partly written file', async () => {
    const one = await lab.add(PYTHON, 'one');
    const dead = '4000000-1-0123456789abcdef';
    const { root } = lab.layout;
    const left = [
      `${root}/tmp/${dead}.erofs`,
      `${root}/layers/${'a'.repeat(64)}.json.${dead}.tmp`,
      `${root}/generations/9.json.${dead}.tmp`,
      `${root}/stacks/python-3.13/9.json.${dead}.tmp`,
      `${root}/built/${'c'.repeat(64)}.json.${dead}.tmp`,
    ];
    mkdirSync(`${root}/built`, { recursive: true });
    for (const path of left) writeFileSync(path, 'half');
    mkdirSync(`${root}/tmp/${dead}.erofs.0011.build`);
    writeFileSync(`${root}/tmp/${dead}.erofs.0011.build/image.erofs`, 'half');
    const living = temporaryPath(lab.layout, '.erofs');
    writeFileSync(living, 'half');
    const nameless = [`${tmpDir(lab.layout)}/new`, `${tmpDir(lab.layout)}/old`];
    for (const path of nameless) writeFileSync(path, '');
    utimesSync(`${tmpDir(lab.layout)}/old`, 1_700_000_000, 1_700_000_000);
    writeFileSync(layerFile(lab.layout, 'b'.repeat(64) as LayerId), 'half');
    const { files, layers } = await collect();
    expect([...files].sort()).toEqual(
      [...left, `${root}/tmp/${dead}.erofs.0011.build`, `${root}/tmp/old`].sort(),
    );
    expect(layers).toEqual([{ id: 'b'.repeat(64), sizeBytes: 4 }]);
    expect([...files, ...nameless, living].filter((path) => existsSync(path))).toEqual([
      `${root}/tmp/new`,
      living,
    ]);
    expect(isStored(ownLayer(one))).toBe(true);
  });

  it('is removed by the next import', async () => {
    const path = `${tmpDir(lab.layout)}/4000000-1-0123456789abcdef.erofs`;
    await lab.add(PYTHON, 'one');
    writeFileSync(path, 'half');
    await lab.add(PYTHON, 'two');
    expect(existsSync(path)).toBe(false);
  });

  it('is restored if it was an image that a collection had set aside', async () => {
    const one = await lab.add(PYTHON, 'one');
    renameSync(imageFile(lab.layout, one.image), `${imageFile(lab.layout, one.image)}.collected`);
    expect(await collect()).toMatchObject(NOTHING);
    expect(readImage(lab.layout, one.image).digest).toBe(one.image);
  });
});

describe('if gc cannot determine what is needed', () => {
  it.each<readonly [string, string, () => Promise<void> | void]>([
    [
      'a revision cannot be read',
      'ERR_STACKSHIM_STACK_CORRUPT',
      () => writeFileSync(revisionFile(lab.layout, PYTHON, 1), '{'),
    ],
    [
      'an image cannot be read',
      'ERR_STACKSHIM_IMAGE_CORRUPT',
      async () => {
        const { image } = await lab.add('ruby-3.3', 'other');
        writeFileSync(imageFile(lab.layout, image), '{');
      },
    ],
    [
      'there is no link to a generation',
      'ERR_STACKSHIM_STACK_CORRUPT',
      () => unlinkSync(currentLink(lab.layout)),
    ],
    [
      'a record cannot be read',
      'ERR_STACKSHIM_RECORD_CORRUPT',
      () => {
        mkdirSync(`${tasksDir(lab.layout)}/broken`, { recursive: true });
        writeFileSync(`${tasksDir(lab.layout)}/broken/record.json`, '{');
      },
    ],
    [
      'the image of a task is missing',
      'ERR_STACKSHIM_IMAGE_CORRUPT',
      async () => {
        keepTask(lab.layout, 'kept', {
          ...(await lab.add(PYTHON, 'x')),
          image: `sha256:${'0'.repeat(64)}` as never,
        });
      },
    ],
  ])('as %s, nothing of it goes', async (_what, code, breakIt) => {
    await lab.add(PYTHON, 'one');
    await lab.add(PYTHON, 'two');
    await lab.import('unused');
    await breakIt();
    const before = [lab.layerFiles(), lab.imageFiles()];
    const collection = await collect();
    expect(collection).toMatchObject({ images: [], layers: [], obstacles: [{ code }] });
    expect([lab.layerFiles(), lab.imageFiles()]).toEqual(before);
  });
});

it('an image that no task or stack needs is removed even if it cannot be read', async () => {
  const image = await lab.import('unused');
  writeFileSync(imageFile(lab.layout, image.digest), '{');
  expect(await collect()).toMatchObject({ images: [image.digest], obstacles: [] });
  expect([lab.layerFiles(), lab.imageFiles()]).toEqual([[], []]);
});

it('the versions of replaced runtimes are removed', async () => {
  const folder = runtimeVersionsDir(lab.layout);
  mkdirSync(folder, { recursive: true });
  const stats = statSync('/bin/sh');
  const kept = (mtimeMs: number) =>
    JSON.stringify({
      fingerprint: { device: stats.dev, inode: stats.ino, size: stats.size, mtimeMs },
      runtime: { kind: 'runc', path: '/bin/sh', version: '1.3.3' },
    });
  writeFileSync(`${folder}/${stats.dev}-${stats.ino}.json`, kept(stats.mtimeMs));
  writeFileSync(`${folder}/1-2.json`, kept(1));
  await collect();
  expect(existsSync(`${folder}/${stats.dev}-${stats.ino}.json`)).toBe(true);
  expect(existsSync(`${folder}/1-2.json`)).toBe(false);
});
