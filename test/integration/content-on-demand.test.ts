/** The digest of an imported image's content is found when a caller asks for it, and not before. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ImageDigest, LayerId } from '../../src/core/ids.ts';
import { imagesDir, layerFile, layersDir } from '../../src/core/layout.ts';
import { openStackshim } from '../../src/door/open-stackshim.ts';
import { readImage } from '../../src/store/images/image.ts';
import { emptyDisk, fillDisk } from '../chaos/support/small-disk.ts';
import { linkPatchedRunc } from '../support/installation/patched-runc.ts';
import { makeBusyboxTar } from '../support/stacks/busybox-stack.ts';
import { useStorageLab } from '../support/stacks/storage-lab.ts';
import { damageLayer } from './support/damage-layer.ts';

const lab = useStorageLab(makeBusyboxTar);
const UNKNOWN = `sha256:${'0'.repeat(64)}`;
const NOT_FOUND = { code: 'ERR_STACKSHIM_STACK_NOT_FOUND', kind: 'not_found' };
const noRevision = (digest: string) => `find stack tools: no revision has the image ${digest}`;
const door = () => openStackshim(lab.options);
const run = (digest: string, more = {}) =>
  door().run({ stack: `tools@${digest}`, command: ['echo', 'found'] }, more);
const show = (digest: string) => door().stacks.show(`tools@${digest}`);

/** Digests of the content of two images of `tools`, neither of which is known. */
let older: ImageDigest;
let newer: ImageDigest;

beforeEach(async () => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m,mode=711', 'none', lab.layout.root]);
  linkPatchedRunc(lab.layout);
  await lab.add('tools', 'older');
  await lab.add('tools', 'newer');
  await door().migrate();
  const { content } = await door().stacks.show('tools');
  newer = content as ImageDigest;
  older = (await door().stacks.show('tools@rev:1')).content as ImageDigest;
  forget();
});
afterEach(() => {
  execFileSync('umount', ['-l', lab.layout.root]);
});

const namesFiles = () =>
  readdirSync(imagesDir(lab.layout)).filter((name) => name.endsWith('.names'));
const packedFiles = () =>
  readdirSync(layersDir(lab.layout)).filter((name) => name.endsWith('.packed'));

const packedFile = () => `${layersDir(lab.layout)}/${packedFiles()[0]}`;

/** As after an import. */
function forget(): void {
  for (const name of namesFiles()) rmSync(`${imagesDir(lab.layout)}/${name}`);
  for (const name of packedFiles()) rmSync(`${layersDir(lab.layout)}/${name}`);
}

/** Other bytes in a file of the newer image's own layer, which read without an error. */
async function falsify(): Promise<void> {
  const { layers } = readImage(lab.layout, (await door().stacks.show('tools')).image);
  const path = layerFile(lab.layout, layers[1] as LayerId);
  const bytes = readFileSync(path);
  bytes.write('NEWER', bytes.indexOf('newer'));
  writeFileSync(path, bytes);
}

const hintOf = (digest: string): Promise<unknown> =>
  show(digest).then(
    () => undefined,
    (error: { hint: string; cause?: unknown }) => error,
  );

describe('a content digest that is not known yet', () => {
  it('is found for a task, and remembered', async () => {
    const succeeded = { verdict: 'succeeded', revision: 1, output: { stdout: 'found\n' } };
    expect(await run(older)).toMatchObject(succeeded);
    expect(namesFiles()).toHaveLength(2);
    const before = statSync(packedFile());
    expect(await run(older)).toMatchObject(succeeded);
    expect(statSync(packedFile())).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
  });

  it('is found for a started task, for show, export, save and a release', async () => {
    const finds: readonly (() => Promise<unknown>)[] = [
      async () => await (await door().start({ stack: `tools@${newer}`, command: ['true'] })).result,
      () => show(newer),
      () => door().stacks.exportTo(`tools@${newer}`, '/dev/null'),
      () => door().stacks.applyRelease(JSON.stringify({ stacks: { tools: newer } }), 'test'),
    ];
    for (const find of finds) {
      forget();
      expect(await find()).toBeDefined();
    }
  });

  it('costs no image that need not be looked at', async () => {
    expect(await run(newer)).toMatchObject({ revision: 2 });
    expect(namesFiles()).toHaveLength(1);
    forget();
    await door().run({ stack: 'tools', command: ['true'] });
    await door().run({ stack: 'tools@rev:1', command: ['true'] });
    const { image } = await door().stacks.show('tools');
    expect(await run(image)).toMatchObject({ revision: 2 });
    expect([...namesFiles(), ...packedFiles()]).toEqual([]);
  });

  it('is found by several at once', async () => {
    const results = await Promise.all([run(older), run(newer), run(older)]);
    expect(results.map(({ revision }) => revision)).toEqual([1, 2, 1]);
  });

  it('of no image is not found, as before', async () => {
    const message = noRevision(UNKNOWN);
    await expect(run(UNKNOWN)).rejects.toMatchObject({ ...NOT_FOUND, message });
    expect(namesFiles()).toHaveLength(2);
    await expect(run(UNKNOWN)).rejects.toMatchObject({ ...NOT_FOUND, message });
    await expect(
      door().run({ stack: `nothing@${UNKNOWN}`, command: ['true'] }),
    ).rejects.toMatchObject({ ...NOT_FOUND, message: 'find stack nothing: no such stack' });
  });

  it('is not found while nothing can be written, and says why', async () => {
    execFileSync('mount', ['-o', 'remount,ro', lab.layout.root]);
    expect(await hintOf(newer)).toMatchObject({
      ...NOT_FOUND,
      message: noRevision(newer),
      hint: expect.stringContaining('read-only'),
    });
    execFileSync('mount', ['-o', 'remount,rw', lab.layout.root]);
    fillDisk(lab.layout.root, 0);
    expect(await hintOf(newer)).toMatchObject({
      ...NOT_FOUND,
      message: noRevision(newer),
      hint: expect.stringContaining('ENOSPC'),
      cause: { code: 'ERR_STACKSHIM_DISK_FULL' },
    });
    emptyDisk(lab.layout.root);
    expect(await show(newer)).toMatchObject({ content: newer });
  });

  it('of a damaged image is not found, and says which', async () => {
    const { layers } = readImage(lab.layout, (await door().stacks.show('tools')).image);
    damageLayer(lab.layout, layers[1] as LayerId);
    expect(await hintOf(newer)).toMatchObject({
      ...NOT_FOUND,
      hint: expect.stringContaining('stackshim verify'),
    });
    expect(await run(older)).toMatchObject({ verdict: 'succeeded', revision: 1 });
  });

  it('is not looked for on behalf of a caller that has given up', async () => {
    const stop = new AbortController();
    const running = run(newer, { signal: stop.signal });
    stop.abort();
    await expect(running).rejects.toMatchObject({ kind: 'aborted' });
  });
});

describe('a layer whose content is not what it was', () => {
  const corrupt = { code: 'ERR_STACKSHIM_LAYER_CORRUPT' };

  it('is not named by its content', async () => {
    await falsify();
    expect(await hintOf(newer)).toMatchObject({
      ...NOT_FOUND,
      hint: expect.stringContaining('stackshim verify'),
    });
    expect((await door().migrate()).damaged).toHaveLength(1);
  });

  it('is not exported', async () => {
    await falsify();
    const file = `${lab.layout.run}/tools.tar`;
    await expect(door().stacks.exportTo('tools', file)).rejects.toMatchObject(corrupt);
    expect(existsSync(file)).toBe(false);
  });

  it('is not what a commit builds on', async () => {
    const task = { stack: 'tools', command: ['touch', '/file'], id: 'kept', keep: true };
    expect(await door().run(task)).toMatchObject({ verdict: 'succeeded' });
    await falsify();
    try {
      await expect(door().stacks.commit('kept', 'tools')).rejects.toMatchObject(corrupt);
      expect((await door().stacks.show('tools')).revision).toBe(2);
    } finally {
      await door().kill('kept');
    }
  });
});
