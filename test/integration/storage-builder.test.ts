/** Collection of what the builder keeps: bases that are gone, and never while a build is going on. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { takeBuilderLock } from '../../src/images/builder-lock.ts';
import { collectGarbage } from '../../src/images/collect-garbage.ts';
import { removeStacks } from '../../src/images/remove-stacks.ts';
import { verifyStore } from '../../src/stacks/verify-store.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { openInstallation } from '../../src/task/installation.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/build-lab.ts';
import { startFixture, waitForLine } from '../support/bun-fixture.ts';
import { NOW, stackName } from '../support/stack-store.ts';

const collector = new URL('../fixtures/collect-garbage.ts', import.meta.url);
const lab = useBuildLab();
const SMOKE = `LABEL io.stackshim.smoke='["true"]'`;

const collect = () => {
  const { root, run, policyFile } = lab.layout;
  return collectGarbage(openInstallation({ root, run, policyFile }));
};

/** Names of the images in the builder's storage. */
function storedNames(): readonly string[] {
  const file = `${lab.layout.root}/build/storage/overlay-images/images.json`;
  const images: readonly { names?: readonly string[] }[] = JSON.parse(readFileSync(file, 'utf8'));
  return images.flatMap(({ names }) => names ?? ['-']).sort();
}

it('removes a base that is gone, and keeps the others', async () => {
  for (const name of ['base-one', 'base-two']) {
    const files = { 'base.json': '{"version":1}' };
    await lab.build(
      lab.writeStack(name, [...BUSYBOX_IMAGE, `RUN echo ${name} > /name`, SMOKE], files),
    );
  }
  const both = ['localhost/base-one:latest', 'localhost/base-two:latest'];
  expect(await collect()).toMatchObject({ builder: 'collected', layers: [] });
  expect(storedNames()).toEqual(both);
  await removeStacks(lab.layout, linuxSystem, { names: [stackName('base-one')], now: NOW });

  const building = await takeBuilderLock(lab.layout, linuxSystem, { waitMs: 0 });
  const collection = await collect();
  expect(collection).toMatchObject({ builder: 'busy', images: [expect.any(String)] });
  expect(storedNames()).toEqual(both);
  building.release();

  expect(await collect()).toMatchObject({ builder: 'collected' });
  expect(storedNames()).toEqual(both.slice(1));
  const onIt = ['FROM localhost/base-two', 'RUN echo 3 > /3', SMOKE];
  expect(await lab.build(lab.writeStack('on-it', onIt))).toMatchObject({ status: 'built' });
  expect(lab.hasWork()).toBe(false);
});

it('leaves alone what is being built', async () => {
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
