/** Differences between two revisions, read from real layers. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Layout } from '../../src/core/layout.ts';
import { importOciLayout } from '../../src/exchange/oci-image/import-oci-layout.ts';
import { diffStack, type StackDiff } from '../../src/store/diff/diff-stack.ts';
import { addRevision } from '../../src/store/stacks/change-revisions.ts';
import { flipStacks } from '../../src/store/stacks/flip-stacks.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { readMounts } from '../../src/sys/mountinfo.ts';
import { expectOpenFiles, openFiles } from '../support/host/open-files.ts';
import { writeSmallOciLayout } from '../support/images/small-oci-layout.ts';
import { makeTar, type SmallTarEntry } from '../support/images/small-tar.ts';
import { disposeInstallation } from '../support/installation/dispose-installation.ts';
import { layoutAt, NOW, stackName } from '../support/stacks/stack-store.ts';

const stack = stackName('tool-1');
let layout: Layout;

beforeEach(() => {
  layout = layoutAt(mkdtempSync(`${tmpdir()}/stackshim-diff-`));
});
afterEach(() => {
  const mounted = readMounts().filter(({ mountPoint }) => mountPoint.startsWith(layout.root));
  // Older kernels need mounted layers, as tasks have them.
  expect(mounted.filter(({ filesystem }) => filesystem !== 'erofs')).toEqual([]);
  disposeInstallation(layout);
});

const folder = (path: string, mode = 0o755): SmallTarEntry => ({ kind: 'directory', path, mode });
const link = (path: string, linkTarget: string): SmallTarEntry => ({
  kind: 'symlink',
  path,
  linkTarget,
});
const file = (path: string, content = path): SmallTarEntry => ({ path, content });

/** Makes an image of these layers the next current revision of the stack. */
async function addImage(...layers: readonly (readonly SmallTarEntry[])[]): Promise<void> {
  const made = await mkdtemp(`${tmpdir()}/stackshim-diff-oci-`);
  try {
    const tars = await Promise.all(layers.map((entries) => makeTar(entries)));
    await writeSmallOciLayout(made, { layers: tars });
    const { digest } = await importOciLayout(layout, {
      system: linuxSystem,
      directory: made,
      tag: 'latest',
    });
    const { revision } = await addRevision(layout, linuxSystem, {
      stack,
      image: digest,
      source: { kind: 'import', reference: 'test' },
      now: NOW,
    });
    const changes = new Map([[stack, revision]]);
    await flipStacks(layout, linuxSystem, { changes, now: NOW, reason: 'test' });
  } finally {
    await rm(made, { recursive: true });
  }
}

const diff = (from?: number, to?: number) =>
  diffStack(layout, linuxSystem, {
    ...(from === undefined ? {} : { before: { name: stack, revision: from } }),
    after: { name: stack, ...(to === undefined ? {} : { revision: to }) },
  });

const tell = ({ files }: StackDiff) =>
  files.map(({ change, kind, path, beforeBytes, afterBytes }) =>
    [change, kind, path, beforeBytes ?? '-', afterBytes ?? '-'].join(' '),
  );

const base = [
  folder('etc'),
  file('etc/kept'),
  file('etc/gone', 'four'),
  folder('opt'),
  file('opt/one', '1'),
  folder('opt/deep'),
  file('opt/deep/two', '22'),
];

describe('diffStack', () => {
  it('names what was added, removed and changed, by content, mode, link target and kind', async () => {
    await addImage([
      folder('a'),
      file('a/same'),
      file('a/longer', '1'),
      file('a/other', 'ab'),
      { path: 'a/mode', content: 'm', mode: 0o644 },
      link('a/link', 'x'),
      file('a/kind', 'k'),
      file('a/old', '123'),
    ]);
    await addImage([
      folder('a', 0o700),
      file('a/same'),
      file('a/longer', '12345'),
      file('a/other', 'ba'),
      { path: 'a/mode', content: 'm', mode: 0o755 },
      link('a/link', 'y'),
      link('a/kind', 'k'),
      file('a/new', '12'),
    ]);
    const told = diff();
    expect(tell(told)).toEqual([
      'changed directory /a 0 0',
      'changed link /a/kind 1 0',
      'changed link /a/link 0 0',
      'changed file /a/longer 1 5',
      'changed file /a/mode 1 1',
      'added file /a/new - 2',
      'removed file /a/old 3 -',
      'changed file /a/other 2 2',
    ]);
    expect(told).toMatchObject({
      from: 1,
      to: 2,
      complete: true,
      totals: {
        added: { files: 1, bytes: 2 },
        removed: { files: 1, bytes: 3 },
        changed: { files: 6, bytes: 3 },
      },
    });
  });

  it('sees the result of all layers: deletions, replaced folders, and files of lower layers', async () => {
    await addImage(base, [file('top')]);
    await addImage(base, [
      file('top'),
      folder('etc'),
      file('etc/.wh.gone', ''),
      folder('opt'),
      file('opt/.wh..wh..opq', ''),
      file('opt/three', '333'),
    ]);
    expect(tell(diff())).toEqual([
      'removed file /etc/gone 4 -',
      'removed directory /opt/deep 0 -',
      'removed file /opt/deep/two 2 -',
      'removed file /opt/one 1 -',
      'added file /opt/three - 3',
    ]);
    expect(tell(diff(2, 1)).filter((line) => line.startsWith('added'))).toHaveLength(4);
  });

  it('compares images that share nothing', async () => {
    await addImage([file('x', '1')]);
    await addImage(base, [file('x', '1')]);
    expect(tell(diff())).toHaveLength(7);
    expect(tell(diff(1, 1))).toEqual([]);
  });

  it('never follows a link out of the images', async () => {
    await addImage([folder('to'), folder('to/ssl'), file('to/hosts', 'h')]);
    await addImage([link('to', '/etc'), link('var', '/var')]);
    expect(tell(diff())).toEqual([
      'changed link /to 0 0',
      'removed file /to/hosts 1 -',
      'removed directory /to/ssl 0 -',
      'added link /var - 0',
    ]);
    expect(tell(diff(2, 1))).toEqual([
      'changed directory /to 0 0',
      'added file /to/hosts - 1',
      'added directory /to/ssl - 0',
      'removed link /var 0 -',
    ]);
    expect(diff().packages).toEqual([]);
  });

  it('names packages that differ', async () => {
    const status = (packages: Readonly<Record<string, string>>) => [
      folder('var'),
      folder('var/lib'),
      folder('var/lib/dpkg'),
      file(
        'var/lib/dpkg/status',
        Object.entries(packages)
          .map(
            ([name, version]) =>
              `Package: ${name}\nStatus: install ok installed\nVersion: ${version}\nInstalled-Size: 2\n`,
          )
          .join('\n'),
      ),
    ];
    await addImage(status({ a: '1', b: '1' }));
    await addImage(status({ b: '2', c: '1' }));
    expect(diff().packages.map(({ name, change }) => [name, change])).toEqual([
      ['a', 'removed'],
      ['b', 'changed'],
      ['c', 'added'],
    ]);
    expect(diff().packages[1]).toMatchObject({
      before: { version: '1', bytes: 2048 },
      after: { version: '2' },
    });
  });

  it('distinguishes non-ASCII names, and closes everything it opened', async () => {
    await addImage([file('name-é')]);
    await addImage([file('name-è')]);
    const open = openFiles();
    expect(tell(diff())).toEqual(['added file /name-è - 7', 'removed file /name-é 7 -']);
    await expectOpenFiles(open, { mayClose: true });
  });

  it('fails if there is nothing to compare with', async () => {
    await addImage([file('x')]);
    expect(() => diff()).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_STACK_NOT_FOUND' }),
    );
    expect(() => diff(7, 1)).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_STACK_NOT_FOUND' }),
    );
  });

  it('names a missing layer, and closes everything it opened', async () => {
    await addImage([file('x')]);
    await addImage([file('y')]);
    for (const name of readdirSync(`${layout.root}/layers`)) {
      if (name.endsWith('.erofs')) rmSync(`${layout.root}/layers/${name}`);
    }
    const open = openFiles();
    expect(() => diff()).toThrow(expect.objectContaining({ code: 'ERR_STACKSHIM_LAYER_CORRUPT' }));
    await expectOpenFiles(open, { mayClose: true });
  });
});
