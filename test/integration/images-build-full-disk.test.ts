/** Builds and updates on a disk that becomes full: they fail, and every stack goes on as it was. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { buildStack } from '../../src/build/build-stack.ts';
import { updateStacks } from '../../src/build/update-stacks.ts';
import { type Layout, layersDir } from '../../src/core/layout.ts';
import { runTask } from '../../src/door/open-stackshim.ts';
import type { SmokeRunner } from '../../src/exchange/smoke.ts';
import { readCurrentGeneration } from '../../src/store/stacks/generations.ts';
import { resolveStack } from '../../src/store/stacks/resolve-stack.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { verifyStore } from '../../src/upkeep/verify-store.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/build-lab.ts';
import { installBusyboxStack } from '../support/busybox-stack.ts';
import { disposeInstallation } from '../support/dispose-installation.ts';
import { linkPatchedRunc } from '../support/patched-runc.ts';
import { stackName } from '../support/stack-store.ts';
import { scaled } from '../support/time-scale.ts';

const lab = useBuildLab();
/** A disk of 96 MiB, with an installation of its own on it. */
const disk = `${lab.layout.run}/small`;
const layout: Layout = { ...lab.layout, root: `${disk}/lib`, run: `${disk}/run` };
const { root, run, policyFile } = layout;

const SMOKE = `LABEL io.stackshim.smoke='["true"]'`;
const FILL = 'RUN dd if=/dev/urandom of=/big bs=1M count=128';
const FULL = { code: 'ERR_STACKSHIM_DISK_FULL', kind: 'exhausted' };

beforeEach(() => {
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'none', disk]);
  for (const path of [root, run]) mkdirSync(path);
  linkPatchedRunc(layout);
});
afterEach(() => {
  disposeInstallation(layout);
  execFileSync('umount', [disk]);
  rmdirSync(disk);
});

const runIn = (stack: string, command: readonly string[]) =>
  runTask({ stack, command }, { root, run, policy: policyFile });
const runSmoke: SmokeRunner = ({ stack, revision }, command) =>
  runIn(`${stack}@rev:${revision}`, command);
const build = (directory: string) =>
  buildStack(layout, directory, { system: linuxSystem, runSmoke });

it('fails a build and leaves what is stored usable', { timeout: scaled(120_000) }, async () => {
  await installBusyboxStack(layout);
  await expect(build(lab.writeStack('big', [...BUSYBOX_IMAGE, FILL, SMOKE]))).rejects.toMatchObject(
    FULL,
  );
  expect(readCurrentGeneration(layout)?.stacks).toEqual({ busybox: 1 });
  expect(resolveStack(layout, { name: stackName('busybox') }).image.layers).toHaveLength(1);
  // The layer, its record, and the blobs that it was seen to be made of.
  expect(readdirSync(layersDir(layout))).toHaveLength(3);
});

/** Folders of a base and of a stack on it, that tell their version. */
function writeStacks(version: string, ...last: readonly string[]): readonly string[] {
  const lines = [`RUN echo ${version} > /version`, ...last, SMOKE];
  return [
    lab.writeStack('base-1', [...BUSYBOX_IMAGE, ...lines]),
    lab.writeStack('atop-1', ['FROM localhost/base-1', ...lines]),
  ];
}

async function update(): Promise<readonly string[]> {
  const { updates } = await updateStacks(layout, { system: linuxSystem, runSmoke });
  return updates.map(({ stack, status, revision, error }) =>
    [stack, status, revision, ...(error === null ? [] : [error.code])].join(' '),
  );
}

/** Names of all that is stored, and of what a build may leave. */
const listStored = () =>
  ['stacks', 'images', 'layers', 'generations', 'tmp', 'build'].map((name) =>
    readdirSync(`${root}/${name}`, { recursive: true }).sort(),
  );

async function expectAsBefore(before: ReturnType<typeof listStored>): Promise<void> {
  expect(readCurrentGeneration(layout)?.stacks).toEqual({ 'base-1': 1, 'atop-1': 1 });
  expect(listStored()).toEqual(before);
  expect((await verifyStore(layout)).damage).toEqual([]);
  for (const stack of ['base-1', 'atop-1']) {
    const { verdict, output } = await runIn(stack, ['cat', '/version']);
    expect([verdict, output.stdout]).toEqual(['succeeded', '1\n']);
  }
}

it('fails an update, whenever it became full', { timeout: scaled(600_000) }, async () => {
  for (const directory of writeStacks('1')) await build(directory);
  const before = listStored();
  const failed = ['base-1', 'atop-1'].map((stack) => `${stack} failed 1 ${FULL.code}`);

  // By what the update itself writes.
  writeStacks('2', FILL);
  expect(await update()).toEqual(failed);
  await expectAsBefore(before);

  // By others, before it begins.
  writeStacks('2');
  const filler = `${disk}/filler`;
  fillDisk(filler);
  expect(await update()).toEqual(failed);
  rmSync(filler);
  await expectAsBefore(before);

  expect(await update()).toEqual(['base-1 updated 2', 'atop-1 updated 2']);
});

function fillDisk(file: string): void {
  const written = spawnSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=4k'], { encoding: 'utf8' });
  expect(written.stderr).toContain('No space left on device');
}
