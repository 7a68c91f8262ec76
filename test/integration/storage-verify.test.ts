/** `verifyStore` names everything that is damaged and the revisions that need it, and nothing else. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { LayerId } from '../../src/core/ids.ts';
import { currentLink, generationsDir, layerFile, layerRecordFile } from '../../src/core/layout.ts';
import type { Image } from '../../src/store/images/image.ts';
import { imageFile, readImage } from '../../src/store/images/image.ts';
import { generationFile } from '../../src/store/stacks/generations.ts';
import { type Revision, revisionFile } from '../../src/store/stacks/revisions.ts';
import type { Damage } from '../../src/store/survey-store.ts';
import { type VerifyProgress, verifyStore } from '../../src/upkeep/verify-store.ts';
import { stackName } from '../support/stacks/stack-store.ts';
import { useStorageLab } from '../support/stacks/storage-lab.ts';

const lab = useStorageLab();

interface Made {
  readonly one: Revision;
  readonly two: Revision;
  readonly other: Revision;
  readonly image: Image;
  readonly shared: LayerId;
  readonly own: LayerId;
}

/** A stack with two revisions, and another stack; all share the lowest layer. */
async function makeStacks(): Promise<Made> {
  const one = await lab.add('python-3.13', 'one');
  const two = await lab.add('python-3.13', 'two');
  const other = await lab.add('ruby-3.3', 'other');
  const image = readImage(lab.layout, two.image);
  const [shared, own] = image.layers;
  if (shared === undefined || own === undefined) throw new Error('an image of two layers');
  return { one, two, other, image, shared, own };
}

/** Changes a byte of a file without changing its size. */
function spoil(path: string): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.from([0xff, 0xee]), 0, 2, 1500);
  closeSync(fd);
}

const spell = ({ hits }: Damage) =>
  hits.map(({ stack, revision, current }) => `${stack}@${revision}${current ? '*' : ''}`).sort();

const ALL = ['python-3.13@1', 'python-3.13@2*', 'ruby-3.3@1*'];
const OWN = ['python-3.13@2*'];

it('verify finds no fault in a sound store, and counts its files', async () => {
  await makeStacks();
  const seen: VerifyProgress[] = [];
  const found = await verifyStore(lab.layout, { onProgress: (progress) => seen.push(progress) });
  expect(found).toMatchObject({ layers: 4, images: 3, revisions: 3, generations: 3, damage: [] });
  expect(found.layerBytes).toBe(4 * 4096);
  expect(seen.map(({ layer, layers }) => `${layer}/${layers}`)).toEqual([
    '1/4',
    '2/4',
    '3/4',
    '4/4',
  ]);
  expect(seen.every(({ doneBytes, totalBytes }) => doneBytes === totalBytes)).toBe(true);
});

it('verify finds no fault in an empty store', async () => {
  expect(await verifyStore(lab.layout)).toMatchObject({ layers: 0, images: 0, damage: [] });
});

const kinds = { layer: 'layer', image: 'image' } as const;
type Break = (made: Made) => string;

const cases: readonly (readonly [string, Damage['kind'], readonly string[], Break])[] = [
  [
    'a layer with another content of the same size',
    kinds.layer,
    OWN,
    ({ own }) => {
      const path = layerFile(lab.layout, own);
      spoil(path);
      return path;
    },
  ],
  [
    'a truncated shared layer',
    kinds.layer,
    ALL,
    ({ shared }) => {
      const path = layerFile(lab.layout, shared);
      truncateSync(path, 1000);
      return path;
    },
  ],
  [
    'a layer without its file',
    kinds.layer,
    ALL,
    ({ shared }) => {
      const path = layerFile(lab.layout, shared);
      unlinkSync(path);
      return path;
    },
  ],
  [
    'a layer without its record',
    kinds.layer,
    OWN,
    ({ own }) => {
      const path = layerRecordFile(lab.layout, own);
      unlinkSync(path);
      return path;
    },
  ],
  [
    'a link in place of a layer',
    kinds.layer,
    OWN,
    ({ own, shared }) => {
      const path = layerFile(lab.layout, own);
      unlinkSync(path);
      symlinkSync(layerFile(lab.layout, shared), path);
      return path;
    },
  ],
  [
    'an image file that is not JSON',
    kinds.image,
    OWN,
    ({ two }) => {
      const path = imageFile(lab.layout, two.image);
      writeFileSync(path, '{');
      return path;
    },
  ],
  [
    'a missing image',
    kinds.image,
    ['python-3.13@1'],
    ({ one }) => {
      const path = imageFile(lab.layout, one.image);
      unlinkSync(path);
      return path;
    },
  ],
  [
    'a revision file of another stack',
    'revision',
    ['python-3.13@1'],
    ({ one, other }) => {
      const path = revisionFile(lab.layout, one.stack, one.revision);
      writeFileSync(path, JSON.stringify({ version: 1, ...other }));
      return path;
    },
  ],
  [
    'a missing current revision',
    'revision',
    ['ruby-3.3@1*'],
    ({ other }) => {
      const path = revisionFile(lab.layout, other.stack, other.revision);
      unlinkSync(path);
      return path;
    },
  ],
  [
    'an old generation that is not JSON',
    'generation',
    [],
    () => {
      const path = generationFile(lab.layout, 1);
      writeFileSync(path, 'nonsense');
      return path;
    },
  ],
];

describe('verify names the damage in', () => {
  it.each(cases)('%s', async (_what, kind, hits, breakIt) => {
    const path = breakIt(await makeStacks());
    const { damage } = await verifyStore(lab.layout);
    expect(damage.map((one) => ({ kind: one.kind, path: one.path, hits: spell(one) }))).toEqual([
      { kind, path, hits },
    ]);
    expect(damage[0]?.error.code).toMatch(/^ERR_STACKSHIM_(LAYER|IMAGE|STACK)_CORRUPT$/);
  });

  it.each([
    ['a missing generation', 'generations/77.json', 'generations/77.json'],
    ['no generation', '/etc/passwd', 'current'],
  ])('a link "current" to %s is reported', async (_what, target, at) => {
    await makeStacks();
    rmSync(currentLink(lab.layout));
    symlinkSync(target, currentLink(lab.layout));
    const { damage } = await verifyStore(lab.layout);
    expect(damage.map(({ kind, path }) => ({ kind, path }))).toEqual([
      { kind: 'current', path: `${lab.layout.root}/${at}` },
    ]);
    expect(readlinkSync(currentLink(lab.layout))).toBe(target);
  });
});

it('verify reports a missing link "current", but not before the first flip', async () => {
  await makeStacks();
  rmSync(currentLink(lab.layout));
  const { damage } = await verifyStore(lab.layout);
  expect(damage.map(({ kind, path }) => ({ kind, path }))).toEqual([
    { kind: 'current', path: currentLink(lab.layout) },
  ]);
  const generations = readdirSync(generationsDir(lab.layout));
  for (const name of generations.slice(1)) rmSync(`${generationsDir(lab.layout)}/${name}`);
  expect((await verifyStore(lab.layout)).damage).toEqual([]);
});

it('verify ignores what an interrupted import or collection left', async () => {
  const { own } = await makeStacks();
  const id = own.replaceAll(/./g, 'a');
  writeFileSync(`${lab.layout.root}/layers/${id}.erofs`, 'half a layer');
  writeFileSync(`${lab.layout.root}/images/${id}.json.collected`, '{}');
  expect(await verifyStore(lab.layout)).toMatchObject({ layers: 4, images: 3, damage: [] });
});

describe('verify beside a collection', () => {
  /** Verifies while something happens to the stored layers, once the first of them is being read. */
  async function verifyWhile(act: () => void) {
    let isDone = false;
    return await verifyStore(lab.layout, {
      onProgress() {
        if (!isDone) act();
        isDone = true;
      },
    });
  }

  it('ignores a layer that is being removed: its record goes first', async () => {
    const { layers, digest } = await lab.import('unused');
    rmSync(imageFile(lab.layout, digest));
    const { damage } = await verifyWhile(() => {
      for (const id of layers) rmSync(layerRecordFile(lab.layout, id));
    });
    expect(damage).toEqual([]);
    for (const id of layers) expect(existsSync(layerFile(lab.layout, id))).toBe(true);
  });

  it('reports a layer without its record if a revision needs it', async () => {
    const { own } = await makeStacks();
    const { damage } = await verifyWhile(() => rmSync(layerRecordFile(lab.layout, own)));
    expect(damage.map(spell)).toEqual([OWN]);
  });
});

it('verify reports damage of a layer whose record is replaced again and again', async () => {
  const { own } = await makeStacks();
  spoil(layerFile(lab.layout, own));
  const record = layerRecordFile(lab.layout, own);
  const verifying = verifyStore(lab.layout);
  let isOver = false;
  const end = () => {
    isOver = true;
  };
  verifying.then(end, end);
  while (!isOver) {
    copyFileSync(record, `${record}.new`);
    renameSync(`${record}.new`, record);
    await nextTurn();
  }
  expect((await verifying).damage.map(spell)).toEqual([OWN]);
});

describe('verify of named stacks', () => {
  it('reads only what they need', async () => {
    const { own } = await makeStacks();
    spoil(layerFile(lab.layout, own));
    const stacks = [stackName('ruby-3.3')];
    expect(await verifyStore(lab.layout, { stacks })).toMatchObject({ layers: 2, damage: [] });
    const both = await verifyStore(lab.layout, { stacks: [...stacks, stackName('python-3.13')] });
    expect(both.damage.map(spell)).toEqual([OWN]);
  });

  it('refuses a name that no stack has', async () => {
    await makeStacks();
    await expect(
      verifyStore(lab.layout, { stacks: [stackName('rubi-3.3')] }),
    ).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_STACK_NOT_FOUND',
      details: { stack: 'rubi-3.3', near: ['ruby-3.3'] },
    });
  });
});

it('verify ends when it is cancelled', async () => {
  await makeStacks();
  const aborting = new AbortController();
  const verifying = verifyStore(lab.layout, {
    signal: aborting.signal,
    onProgress: () => aborting.abort(new Error('enough')),
  });
  await expect(verifying).rejects.toThrow('enough');
});
