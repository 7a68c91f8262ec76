/** Garbage collection of builders: copies of bases, and folders of dead builds. */
import { once } from 'node:events';
import { mkdirSync, readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { releaseBuilderHome, takeBuilderHome } from '../../src/build/take-builder-home.ts';
import { resolveStack } from '../../src/store/stacks/resolve-stack.ts';
import { holdStore } from '../../src/store/store-lease.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { openInstallation } from '../../src/task/installation.ts';
import { collectGarbage } from '../../src/upkeep/collect-garbage.ts';
import { verifyStore } from '../../src/upkeep/verify-store.ts';
import { startFixture, waitForLine } from '../support/programs/bun-fixture.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/stacks/build-lab.ts';
import { stackName } from '../support/stacks/stack-store.ts';

const collector = new URL('../fixtures/collect-garbage.ts', import.meta.url);
const lab = useBuildLab();
const SMOKE = `LABEL io.stackshim.smoke='["true"]'`;

const collect = () => {
  return collectGarbage(openInstallation(lab.layout));
};

/** Copies of bases, and home folders of builds. */
const kept = () =>
  readdirSync(`${lab.layout.root}/build`, { recursive: true, withFileTypes: true })
    .filter(({ parentPath }) => /\/build(\/bases)?$/.test(parentPath))
    .map(({ name }) => name)
    .filter((name) => name !== 'bases')
    .sort();

const isCopyOf = (stack: string) => expect.stringMatching(new RegExp(`^${stack}\\.[0-9a-f]{64}$`));

it('gc keeps copies of current bases that stacks were built on, and removes the others', async () => {
  for (const name of ['base-one', 'base-two']) {
    await lab.build(lab.writeStack(name, [...BUSYBOX_IMAGE, `RUN echo ${name} > /name`, SMOKE]));
    await lab.build(lab.writeStack(`on-${name}`, [`FROM localhost/${name}`, 'RUN echo > /on']));
  }
  const both = [isCopyOf('base-one'), isCopyOf('base-two')];
  expect(kept()).toEqual(both);
  expect(await collect()).toMatchObject({ bases: [], files: [], layers: [] });
  expect(kept()).toEqual(both);

  // A base that a build is about to use stays, although it is no longer current.
  const { image } = resolveStack(lab.layout, { name: stackName('base-one') });
  const lease = await holdStore(lab.layout, linuxSystem);
  await lease.pin(image.digest);
  await lab.build(lab.writeStack('base-one', [...BUSYBOX_IMAGE, 'RUN echo 2 > /name', SMOKE]));
  expect(await collect()).toMatchObject({ bases: [] });
  lease.release();

  const path = `${lab.layout.root}/build/bases/base-one.${image.digest.slice('sha256:'.length)}`;
  const installation = openInstallation(lab.layout);
  const planned = await collectGarbage(installation, { dryRun: true });
  expect(planned).toMatchObject({ bases: [path] });
  expect(kept()).toEqual(both);
  expect(await collect()).toEqual({ ...planned, dryRun: false });
  expect(kept()).toEqual(both.slice(1));

  const onIt = ['FROM localhost/base-two', 'RUN echo 3 > /3', SMOKE];
  expect(await lab.build(lab.writeStack('on-it', onIt))).toMatchObject({ status: 'built' });
  expect(lab.hasWork()).toBe(false);
});

it('gc removes the folder of a dead build, and not that of a running one', async () => {
  const living = await takeBuilderHome(lab.layout, linuxSystem, { waitMs: 0 });
  for (const home of ['0', '1'])
    mkdirSync(`${lab.layout.root}/build/${home}/work`, { recursive: true });
  expect(await collect()).toMatchObject({ files: [`${lab.layout.root}/build/1`] });
  expect(kept()).toEqual(['0', isCopyOf('base-two')]);
  await releaseBuilderHome(living);
  expect(kept()).toEqual([isCopyOf('base-two')]);
});

it('gc does not touch what is being built', async () => {
  const { root, run, policyFile } = lab.layout;
  const collecting = startFixture(collector, [root, run, policyFile, '300']);
  await waitForLine(collecting, 'ready');
  for (const round of [1, 2]) {
    const directory = lab.writeStack('built', [
      ...BUSYBOX_IMAGE,
      `RUN echo ${round} > /round`,
      SMOKE,
    ]);
    expect(await lab.build(directory)).toMatchObject({ status: 'built' });
    expect(await lab.run('built', ['cat', '/round'])).toMatchObject({
      verdict: 'succeeded',
      output: { stdout: `${round}\n` },
    });
  }
  expect(collecting.exitCode).toBeNull();
  collecting.kill('SIGKILL');
  await once(collecting, 'close');
  await collect();
  expect((await verifyStore(lab.layout)).damage).toEqual([]);
});
