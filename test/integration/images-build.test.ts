/** Real builds: buildah, import, a smoke task, and finally the flip. */
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { releaseBuilderHome, takeBuilderHome } from '../../src/build/take-builder-home.ts';
import { layersDir } from '../../src/core/layout.ts';
import type { BuildProgress } from '../../src/exchange/progress.ts';
import { runContained } from '../../src/exchange/run-contained.ts';
import { readCurrentGeneration } from '../../src/store/stacks/generations.ts';
import { showStack } from '../../src/store/stacks/list-stacks.ts';
import { rollbackStack } from '../../src/store/stacks/rollback.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/stacks/build-lab.ts';
import { stackName } from '../support/stacks/stack-store.ts';

const lab = useBuildLab();

const SMOKE = `LABEL io.stackshim.smoke='["test", "-e", "/made"]'`;
const SOUND = [...BUSYBOX_IMAGE, 'RUN echo hello > /proc/self/fd/2 && echo 1 > /made', SMOKE];
const OLDEST = Date.UTC(1980, 0, 1) / 1000;

const current = () => readCurrentGeneration(lab.layout)?.stacks ?? {};
const revisionFiles = (name: string) => readdirSync(`${lab.layout.root}/stacks/${name}`);
const listStored = () =>
  ['images', 'layers'].map((name) => readdirSync(`${lab.layout.root}/${name}`));
const layerFiles = () =>
  readdirSync(layersDir(lab.layout)).filter((name) => name.endsWith('.erofs'));

describe('buildStack', () => {
  it('builds, tests and makes current, and reports its steps', async () => {
    const told: BuildProgress[] = [];
    const directory = lab.writeStack('sound', SOUND);
    const result = await lab.build(directory, { onProgress: (progress) => told.push(progress) });
    expect(result).toMatchObject({
      status: 'built',
      stack: 'sound',
      revision: 1,
      smoke: { verdict: 'succeeded', removed: true },
    });
    expect(current()).toMatchObject({ sound: 1 });
    const steps = told.flatMap((one) => (one.kind === 'step' ? [one.step] : []));
    expect(steps).toEqual(['build', 'export', 'import', 'smoke', 'flip']);
    expect(told).toContainEqual({ kind: 'line', step: 'build', text: 'hello' });
    expect(lab.hasWork()).toBe(false);
    expect(showStack(lab.layout, stackName('sound'))).toMatchObject({
      source: { kind: 'build', directory },
      config: { env: ['PATH=/bin'], labels: { 'io.stackshim.epoch': `${OLDEST}` } },
    });
  });

  it('gives the same layers again: times do not reveal when they were made', async () => {
    const before = showStack(lab.layout, stackName('sound'));
    const result = await lab.build(lab.writeStack('sound', SOUND));
    expect(result).toMatchObject({ status: 'built', revision: 2 });
    const after = showStack(lab.layout, stackName('sound'));
    expect(after.layers.map(({ id }) => id)).toEqual(before.layers.map(({ id }) => id));
    const { output } = await lab.run('sound', [
      'stat',
      '-c',
      '%Y',
      '/made',
      '/bin/busybox',
      '/bin',
    ]);
    expect(output.stdout).toBe(`${OLDEST}\n`.repeat(3));
  });

  it('with ifChanged builds only what changed', async () => {
    const directory = lab.writeStack('changing', SOUND, { extra: 'one' });
    const build = () => lab.build(directory, { ifChanged: true });
    expect(await build()).toMatchObject({ status: 'built', revision: 1 });
    expect(await build()).toMatchObject({ status: 'unchanged', revision: 1, smoke: null });
    lab.writeStack('changing', SOUND, { extra: 'one' });
    expect(await build()).toMatchObject({ status: 'unchanged' });
    lab.writeStack('changing', SOUND, { extra: 'two' });
    expect(await build()).toMatchObject({ status: 'built', revision: 2 });
  });

  it('stores a base once, however many stacks use it', async () => {
    const base = lab.writeStack('tiny-1', SOUND);
    await lab.build(base);
    const [baseLayer] = showStack(lab.layout, stackName('tiny-1')).layers;
    const before = layerFiles();
    for (const name of ['on-tiny-a', 'on-tiny-b']) {
      await lab.build(lab.writeStack(name, ['FROM localhost/tiny-1', `RUN echo ${name} > /name`]));
      const { layers, config } = showStack(lab.layout, stackName(name));
      expect(layers.map(({ id, shared }) => [id === baseLayer?.id, shared])).toEqual([
        [true, true],
        [false, false],
      ]);
      expect(config.env).toEqual(['PATH=/bin']);
    }
    expect(layerFiles()).toHaveLength(before.length + 2);
    expect((await lab.run('on-tiny-b', ['cat', '/made', '/name'])).output.stdout).toBe(
      '1\non-tiny-b\n',
    );
  });

  it('gives a stack that adds nothing the layers of its base', async () => {
    await lab.build(lab.writeStack('tiny-3', SOUND));
    const lines = ['FROM localhost/tiny-3'];
    for (const revision of [1, 2]) {
      const result = await lab.build(lab.writeStack('on-tiny-d', lines));
      expect(result).toMatchObject({ status: 'built', revision });
    }
  });

  it('builds again after its base changed, with ifChanged as well', async () => {
    const base = lab.writeStack('tiny-2', SOUND);
    await lab.build(base);
    const stack = lab.writeStack('on-tiny-c', ['FROM localhost/tiny-2', 'RUN cp /made /seen']);
    await lab.build(stack);
    expect(await lab.build(base)).toMatchObject({ revision: 2 });
    expect(await lab.build(stack, { ifChanged: true })).toMatchObject({ status: 'unchanged' });
    await lab.build(lab.writeStack('tiny-2', [...SOUND, 'RUN echo 2 > /made']));
    expect(await lab.build(stack, { ifChanged: true })).toMatchObject({
      status: 'built',
      revision: 2,
    });
    expect((await lab.run('on-tiny-c', ['cat', '/seen'])).output.stdout).toBe('2\n');
  });

  it('finds files that several stacks share in the folder beside them', async () => {
    lab.writeStack('shared', [], { greeting: 'from beside\n' });
    const lines = [...SOUND, 'COPY --from=shared greeting /greeting'];
    await lab.build(lab.writeStack('sharing', lines));
    expect((await lab.run('sharing', ['cat', '/greeting'])).output.stdout).toBe('from beside\n');
  });

  it('can use files of other stacks, and stages based on them', async () => {
    await lab.build(lab.writeStack('donor-1', [...SOUND, 'RUN echo donated > /gift']));
    const lines = [
      'FROM localhost/donor-1 AS made',
      'RUN cat /gift /gift > /gifts',
      ...['FROM localhost/tiny-1', 'COPY --from=made /gifts /gifts'],
      'COPY --from=localhost/donor-1 /gift /gift',
    ];
    const directory = lab.writeStack('taking', lines);
    await lab.build(directory);
    expect((await lab.run('taking', ['cat', '/gifts', '/gift', '/made'])).output.stdout).toBe(
      'donated\ndonated\ndonated\n1\n',
    );
    expect(showStack(lab.layout, stackName('taking'))).toMatchObject({
      source: { base: { stack: 'tiny-1', revision: 1 } },
    });
    await lab.build(lab.writeStack('donor-1', [...SOUND, 'RUN echo more > /gift']));
    expect(await lab.build(directory, { ifChanged: true })).toMatchObject({ revision: 2 });
  });

  it('builds on the revision that a rollback made current', async () => {
    await lab.build(lab.writeStack('tiny-4', [...SOUND, 'RUN echo first > /which']));
    await lab.build(lab.writeStack('tiny-4', [...SOUND, 'RUN echo second > /which']));
    const stack = lab.writeStack('on-tiny-e', ['FROM localhost/tiny-4', 'RUN cp /which /seen']);
    await lab.build(stack);
    await rollbackStack(lab.layout, linuxSystem, { stack: stackName('tiny-4'), now: new Date() });
    expect(await lab.build(stack, { ifChanged: true })).toMatchObject({ revision: 2 });
    expect((await lab.run('on-tiny-e', ['cat', '/seen'])).output.stdout).toBe('first\n');
  });
});

describe('a build that fails', () => {
  it('in the Dockerfile reports the builder’s output', async () => {
    await lab.build(lab.writeStack('kept', SOUND));
    const broken = [...BUSYBOX_IMAGE, 'RUN echo the reason; exit 7', SMOKE];
    const building = lab.build(lab.writeStack('kept', broken));
    await expect(building).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_BUILD_FAILED',
      kind: 'invalid',
      details: { program: 'buildah', output: expect.arrayContaining(['the reason']) },
    });
    expect(current()).toMatchObject({ kept: 1 });
    expect(revisionFiles('kept')).toEqual(['1.json']);
    expect(lab.hasWork()).toBe(false);
  });

  it.each([
    [
      'fails',
      '["sh", "-c", "echo out; echo err >&2; exit 4"]',
      { verdict: 'failed', exitCode: 4, stdout: 'out\n', stderr: 'err\n' },
    ],
    ['does not exist', '["nothing-of-that-name"]', { verdict: 'setup_failed' }],
    ['hangs', '["sleep", "1000"]', { verdict: 'timed_out' }],
    ['reads from an empty input', 'read line || exit 5', { verdict: 'failed', exitCode: 5 }],
  ])('in a smoke command that %s', async (_, smoke, details) => {
    await lab.build(lab.writeStack('kept', SOUND), { ifChanged: true });
    const before = { generation: readCurrentGeneration(lab.layout), files: revisionFiles('kept') };
    const stored = listStored();
    const lines = [...BUSYBOX_IMAGE, `LABEL io.stackshim.smoke='${smoke}'`];
    const building = lab.build(lab.writeStack('kept', lines), { smokeTimeoutMs: 400 });
    await expect(building).rejects.toMatchObject({ code: 'ERR_STACKSHIM_SMOKE_FAILED', details });
    expect(readCurrentGeneration(lab.layout)).toEqual(before.generation);
    expect(revisionFiles('kept')).toEqual(before.files);
    expect(listStored()).toEqual(stored);
  });

  it('leaves no folder for a stack that never existed', async () => {
    const stored = listStored();
    const lines = [
      ...BUSYBOX_IMAGE,
      'RUN echo never > /never',
      `LABEL io.stackshim.smoke='exit 1'`,
    ];
    const building = lab.build(lab.writeStack('never', lines));
    await expect(building).rejects.toMatchObject({ code: 'ERR_STACKSHIM_SMOKE_FAILED' });
    expect(readdirSync(`${lab.layout.root}/stacks`)).not.toContain('never');
    expect(listStored()).toEqual(stored);
  });

  it.each([
    ['without a smoke label', [...BUSYBOX_IMAGE], {}, 'ERR_STACKSHIM_BUILD_FAILED'],
    [
      'on a base that is not built',
      ['FROM localhost/absent-1', SMOKE],
      {},
      'ERR_STACKSHIM_STACK_NOT_FOUND',
    ],
    [
      'on an image of a registry',
      ['FROM registry.invalid/x', SMOKE],
      {},
      'ERR_STACKSHIM_BUILD_FAILED',
    ],
    ['with a Dockerfile of nonsense', ['FORM scratch'], {}, 'ERR_STACKSHIM_BUILD_FAILED'],
    ['with an empty Dockerfile', [], {}, 'ERR_STACKSHIM_BUILD_FAILED'],
    [
      'that copies a missing file',
      ['FROM scratch', 'COPY absent /', SMOKE],
      {},
      'ERR_STACKSHIM_BUILD_FAILED',
    ],
    [
      'that copies from outside of the folder',
      ['FROM scratch', 'COPY ../../../../etc/shadow /', SMOKE],
      {},
      'ERR_STACKSHIM_BUILD_FAILED',
    ],
    ['with a base.json of nonsense', SOUND, { 'base.json': '{}' }, 'ERR_STACKSHIM_BUILD_FAILED'],
  ])('%s', async (_, dockerfile, files, code) => {
    const building = lab.build(lab.writeStack('never', dockerfile, files));
    await expect(building).rejects.toMatchObject({ code });
    expect(current()).not.toHaveProperty('never');
    expect(lab.hasWork()).toBe(false);
  });

  it('names the command that builds the missing base', async () => {
    const building = lab.build(lab.writeStack('never', ['FROM localhost/absent-1', SMOKE]));
    await expect(building).rejects.toMatchObject({
      hint: expect.stringContaining('stackshim stack build overlay/base/absent-1'),
      details: { base: 'absent-1' },
    });
  });

  it.each([
    ['that does not exist', '/nothing/of-that-name', 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    ['that is a file', '/etc/passwd', 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    ['without a Dockerfile', '/etc', 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    ['whose name is not valid for a stack', '/', 'ERR_STACKSHIM_SPEC_INVALID'],
  ])('for a folder %s', async (_, directory, code) => {
    await expect(lab.build(directory)).rejects.toMatchObject({ code });
  });

  it('because its caller cancelled it', async () => {
    const stop = new AbortController();
    const lines = [...BUSYBOX_IMAGE, 'RUN echo waiting; sleep 1000', SMOKE];
    const building = lab.build(lab.writeStack('never', lines), {
      signal: stop.signal,
      onProgress: (progress) => {
        if (progress.kind === 'line' && progress.text === 'waiting') stop.abort();
      },
    });
    await expect(building).rejects.toMatchObject({ code: 'ERR_STACKSHIM_BUILD_ABORTED' });
    expect(current()).not.toHaveProperty('never');
    expect(lab.hasWork()).toBe(false);
  });

  it('because all build slots stay in use', async () => {
    const take = () => takeBuilderHome(lab.layout, linuxSystem, { waitMs: 0 });
    const taken = [await take(), await take()];
    await expect(take()).rejects.toMatchObject({ code: 'ERR_STACKSHIM_STACK_BUSY' });
    const building = lab.build(lab.writeStack('never', SOUND), { lockWaitMs: 50 });
    await expect(building).rejects.toMatchObject({ code: 'ERR_STACKSHIM_STACK_BUSY' });
    for (const home of taken) await releaseBuilderHome(home);
  });

  it('because a program is not installed', async () => {
    const home = await takeBuilderHome(lab.layout, linuxSystem, { waitMs: 0 });
    const options = { system: linuxSystem, locks: [home.lock], env: {} };
    await expect(runContained(['no-such-builder'], options)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_TOOL_MISSING',
      details: { program: 'no-such-builder' },
    });
    await releaseBuilderHome(home);
  });
});
