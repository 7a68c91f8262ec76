/** Builds and updates on a disk that fills up: they fail, and every stack stays as it was. */
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
import { disposeInstallation } from '../support/installation/dispose-installation.ts';
import { linkPatchedRunc } from '../support/installation/patched-runc.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/stacks/build-lab.ts';
import { installBusyboxStack } from '../support/stacks/busybox-stack.ts';
import { stackName } from '../support/stacks/stack-store.ts';
import { scaled } from '../support/timing/time-scale.ts';

const lab = useBuildLab();
/** A disk of 96 MiB with its own installation. */
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

it('a full disk fails a build, and what is stored stays usable', {
  timeout: scaled(120_000),
}, async () => {
  await installBusyboxStack(layout);
  await expect(build(lab.writeStack('big', [...BUSYBOX_IMAGE, FILL, SMOKE]))).rejects.toMatchObject(
    FULL,
  );
  expect(readCurrentGeneration(layout)?.stacks).toEqual({ busybox: 1 });
  expect(resolveStack(layout, { name: stackName('busybox') }).image.layers).toHaveLength(1);
  // The layer, its record, and the blobs that it was recognised by.
  expect(readdirSync(layersDir(layout))).toHaveLength(3);
});

/** The folders of a base and of a stack on it, with a version in each. */
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

/** Names of everything stored, and of what a build may leave. */
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

it('a full disk fails an update, whenever it fills up', { timeout: scaled(600_000) }, async () => {
  for (const directory of writeStacks('1')) await build(directory);
  const before = listStored();
  const failed = ['base-1', 'atop-1'].map((stack) => `${stack} failed 1 ${FULL.code}`);

  // Filled by the update itself.
  writeStacks('2', FILL);
  expect(await update()).toEqual(failed);
  await expectAsBefore(before);

  // Filled by others before it starts.
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
