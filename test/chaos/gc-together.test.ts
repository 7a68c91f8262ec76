/** Garbage collection beside running tasks, imports, builds and flips, any of which may be killed: nothing that is needed is ever removed. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { buildDir, tasksDir, tmpDir } from '../../src/core/layout.ts';
import { runTask } from '../../src/door/open-stackshim.ts';
import { imageFile } from '../../src/store/images/image.ts';
import { listMountedLayers } from '../../src/store/layers/list-layers.ts';
import { surveyStore } from '../../src/store/survey-store.ts';
import { reapTasks } from '../../src/task/abandoned/reap.ts';
import { collectGarbage } from '../../src/upkeep/collect-garbage.ts';
import { verifyStore } from '../../src/upkeep/verify-store.ts';
import { runFixture, startFixture, waitForLine } from '../support/programs/bun-fixture.ts';
import { makeBusyboxTar } from '../support/stacks/busybox-stack.ts';
import { useStorageLab } from '../support/stacks/storage-lab.ts';
import { isFullRun } from '../support/timing/full-run.ts';

const collector = new URL('../fixtures/collect-garbage.ts', import.meta.url);
const builder = new URL('../fixtures/build-again.ts', import.meta.url);
const importer = new URL('../fixtures/add-stacks.ts', import.meta.url);
const runner = new URL('../fixtures/run-tasks.ts', import.meta.url);
const base = makeBusyboxTar();
const lab = useStorageLab(() => base);
const places = () => [lab.layout.root, lab.layout.run, lab.layout.policyFile];

const TASKS = isFullRun ? 400 : 60;
const IMPORTS = isFullRun ? 200 : 30;
const KILLS = isFullRun ? 200 : 20;
const BUILDS = isFullRun ? 40 : 3;
/** Builds that are killed in each step. */
const BUILD_STEPS = ['build', 'export', 'import', 'smoke'];
const KILLS_A_STEP = isFullRun ? 10 : 1;

const TIMEOUT_MS = isFullRun ? 3_600_000 : 600_000;

/** Expects that only what current revisions need is left, and that all of it is sound. */
async function expectTidy(): Promise<void> {
  expect(await collectGarbage(lab.installation, { keepRevisions: 0 })).toMatchObject({
    obstacles: [],
  });
  expect((await verifyStore(lab.layout)).damage).toEqual([]);
  const { revisions, images, layerUsers } = surveyStore(lab.layout);
  expect(revisions.every(({ image }) => images.has(image))).toBe(true);
  expect(images.size).toBe(new Set(revisions.map(({ image }) => image)).size);
  const files = lab.layerFiles().filter((name) => !/\.(blobs|packed)$/.test(name));
  expect(files).toHaveLength(layerUsers.size * 2);
  const packed = lab.layerFiles().filter((name) => name.endsWith('.packed'));
  const layers = new Set<string>(layerUsers.keys());
  expect(packed.filter((name) => !layers.has(name.slice(0, -'.packed'.length)))).toEqual([]);
  expect(readdirSync(tmpDir(lab.layout))).toEqual([]);
  expect(listMountedLayers(lab.layout).filter((id) => !layerUsers.has(id))).toEqual([]);
  expect(await collectGarbage(lab.installation)).toMatchObject({
    revisions: [],
    images: [],
    layers: [],
    files: [],
  });
}

const countImages = () => lab.imageFiles().filter((name) => name.endsWith('.json')).length;

/** Whether a collection has reached its first image, or has removed as many layer files. */
function hasGone([images, layerFiles]: readonly [number, number], files: number): boolean {
  if (files === 0) return countImages() < images;
  return lab.layerFiles().length <= layerFiles - files;
}

/** The folder of a stack on `base`, changed for each build. */
function writeBuiltStack(name: string, onto: string): string {
  const directory = `${lab.layout.root}/../stacks/${name}`;
  mkdirSync(directory, { recursive: true });
  const lines = [
    `FROM localhost/${onto}`,
    'COPY round /round',
    'RUN cat /seed /round > /built',
    `LABEL io.stackshim.smoke='["sh", "-c", "cat /seed /round | cmp - /built"]'`,
  ];
  writeFileSync(`${directory}/Dockerfile`, `${lines.join('\n')}\n`);
  return directory;
}

/** Runs `work` while another process collects garbage without pause. */
async function whileCollecting(work: () => Promise<void>): Promise<void> {
  const collecting = startFixture(collector, places());
  const closed = once(collecting, 'close');
  try {
    await waitForLine(collecting, 'ready');
    await work();
    expect(collecting.exitCode).toBeNull();
  } finally {
    collecting.kill('SIGKILL');
    await closed;
  }
}

it('tasks, imports, builds, flips and collections can run at the same time', {
  timeout: TIMEOUT_MS,
}, async () => {
  const [one, two] = ['one', 'two'];
  for (const name of [one, two]) await lab.add(name, `${name} 0`);
  const tar = `${lab.layout.root}/../base.tar`;
  writeFileSync(tar, await base);
  const [root = '', run = ''] = places();
  const built = writeBuiltStack('built', one);
  await whileCollecting(async () => {
    const work = [one, two].flatMap((name) => [
      runFixture(runner, [...places(), name, String(TASKS)]),
      runFixture(importer, [root, run, name, tar, String(IMPORTS)]),
    ]);
    work.push(runFixture(builder, [...places(), built, String(BUILDS)]));
    await Promise.all(work);
  });
  expect(surveyStore(lab.layout).generation?.stacks).toEqual({
    [one]: IMPORTS + 1,
    [two]: IMPORTS + 1,
    built: BUILDS,
  });
  expect(await runTask({ stack: 'built', command: ['cat', '/built'] }, lab.options)).toMatchObject({
    verdict: 'succeeded',
  });
  await expectTidy();
});

it('a task resolves its stack again if the image was collected before its record was written', async () => {
  const first = await lab.add('one', 'first');
  const run = () => runTask({ stack: 'one', command: ['cat', '/seed'] }, lab.options);
  expect(await run()).toMatchObject({ revision: 1, output: { stdout: 'first' } });
  // This process has cached what the name means: it does not read the file again.
  renameSync(imageFile(lab.layout, first.image), `${imageFile(lab.layout, first.image)}.collected`);
  expect(await run()).toMatchObject({ revision: 1, verdict: 'succeeded', removed: true });
  expect(readdirSync(tasksDir(lab.layout))).toEqual([]);
  await expectTidy();
});

it('gc clears away what an import leaves that is killed at any moment', {
  timeout: TIMEOUT_MS,
}, async () => {
  const tar = `${lab.layout.root}/../base.tar`;
  writeFileSync(tar, await base);
  const [root = '', run = ''] = places();
  for (let round = 0; round < KILLS; round += 1) {
    const importing = startFixture(importer, [root, run, `s${round}`, tar, '1000']);
    await waitForLine(importing, 'added 1');
    await delay(randomInt(0, 120));
    importing.kill('SIGKILL');
    await once(importing, 'close');
    expect((await verifyStore(lab.layout)).damage).toEqual([]);
  }
  const left = readdirSync(tmpDir(lab.layout));
  await lab.add('next', 'one');
  expect(left.filter((name) => readdirSync(tmpDir(lab.layout)).includes(name))).toEqual([]);
  await expectTidy();
});

it('gc clears away what a build leaves that is killed in any step', {
  timeout: TIMEOUT_MS,
}, async () => {
  await lab.add('one', 'one 0');
  const tar = `${lab.layout.root}/../base.tar`;
  writeFileSync(tar, await base);
  const [root = '', run = ''] = places();
  const built = writeBuiltStack('built', 'one');
  await whileCollecting(async () => {
    // The copies of bases are removed meanwhile as well.
    const importing = runFixture(importer, [root, run, 'one', tar, String(IMPORTS)]);
    try {
      for (const step of BUILD_STEPS.flatMap((name) => Array(KILLS_A_STEP).fill(name))) {
        const building = startFixture(builder, [...places(), built, '1000']);
        await waitForLine(building, `step ${step}`);
        await delay(randomInt(0, 120));
        building.kill('SIGKILL');
        await once(building, 'close');
        expect((await verifyStore(lab.layout)).damage).toEqual([]);
      }
    } finally {
      await importing;
    }
  });
  // Smoke commands whose owner died keep their images.
  expect(await reapTasks(lab.installation)).toMatchObject({ corrupt: [] });
  // The collection waits for the last process of a dead build, which still holds the build's lock.
  const [, last] = /built (\d+)/.exec(await runFixture(builder, [...places(), built, '1'])) ?? [];
  expect(surveyStore(lab.layout).generation?.stacks).toEqual({
    one: IMPORTS + 1,
    built: Number(last),
  });
  await expectTidy();
  expect(readdirSync(buildDir(lab.layout)).filter((name) => name !== 'bases')).toEqual([]);
});

it('a gc that is killed at any moment is completed by the next one', {
  timeout: TIMEOUT_MS,
}, async () => {
  for (let round = 0; round < KILLS; round += 1) {
    await lab.add('stack', `kept ${round}`);
    for (let seed = 0; seed < 3; seed += 1) await lab.import(`unused ${round} ${seed}`);
    const before = [countImages(), lab.layerFiles().length] as const;
    const collecting = startFixture(collector, places());
    await waitForLine(collecting, 'ready');
    // Between the first hidden image and the last but one layer file.
    while (!hasGone(before, round % 7)) await nextTurn();
    collecting.kill('SIGKILL');
    await once(collecting, 'close');
    expect((await verifyStore(lab.layout)).damage).toEqual([]);
  }
  await expectTidy();
});
