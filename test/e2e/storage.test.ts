/** `stackshim verify`, `gc` and `df` with the executable, while tasks use what they examine. */
import { closeSync, openSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { LayerId } from '../../src/core/ids.ts';
import { layerFile } from '../../src/core/layout.ts';
import { imageFile, readImage } from '../../src/store/images/image.ts';
import type { Revision } from '../../src/store/stacks/revisions.ts';
import { type CliResult, runCli, startCli } from '../support/cli/run-cli.ts';
import { makeBusyboxTar } from '../support/stacks/busybox-stack.ts';
import { useStorageLab } from '../support/stacks/storage-lab.ts';

const base = makeBusyboxTar();
const lab = useStorageLab(() => base);
const cli = (...args: readonly string[]): Promise<CliResult> => runCli(args, { env: lab.env });

function layersOf({ image }: Revision): readonly [LayerId, LayerId] {
  const [shared, own] = readImage(lab.layout, image).layers;
  if (shared === undefined || own === undefined) throw new Error('an image of two layers');
  return [shared, own];
}

const sizeOf = (id: LayerId) => statSync(layerFile(lab.layout, id)).size;

function spoil(path: string): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.from([0xff, 0xee]), 0, 2, 1500);
  closeSync(fd);
}

describe('a stack whose image is damaged', () => {
  it.each([['ls'], ['graph']])(
    'does not prevent %s from showing the other stacks',
    async (command) => {
      const { image } = await lab.add('one', 'one');
      await lab.add('two', 'two');
      writeFileSync(imageFile(lab.layout, image), 'nonsense');
      const { status, stdout, stderr } = await cli('stack', command);
      expect(status).toBe(1);
      expect(stdout).toContain('two');
      expect(stdout).not.toContain('one');
      expect(stderr).toMatch(/^stackshim: read stack one: .* \[ERR_STACKSHIM_IMAGE_CORRUPT\]\n/);
    },
  );
});

describe('verify', () => {
  it('reports that everything is sound, with its progress on stderr', async () => {
    const [shared] = layersOf(await lab.add('one', 'one'));
    await lab.add('two', 'two');
    const { status, stdout, stderr } = await cli('verify');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^3 layers \(\S+ \S+\), 2 images, 2 revisions: no damage found\n$/);
    expect(stderr).toMatch(/^(layer [1-3] of 3: [0-9a-f]{12} \S+ \S+\n){3}$/);
    expect(stderr).toContain(shared.slice(0, 12));
    const json = JSON.parse((await cli('verify', '--json', 'two')).stdout);
    expect(json).toMatchObject({ layers: 2, damage: [] });
  });

  it('names the damaged files and what depends on them, and nothing else', async () => {
    const [, own] = layersOf(await lab.add('one', 'one'));
    await lab.add('two', 'two');
    const path = layerFile(lab.layout, own);
    spoil(path);
    const { status, stdout } = await cli('verify');
    expect(status).toBe(1);
    expect(stdout).toMatch(
      new RegExp(
        `^layer: read layer ${path}: its content has sha256 [0-9a-f]{64}\n  affects: one@rev:1 \\(current\\)\n.*: 1 damaged\n$`,
      ),
    );
    const json = await cli('verify', '--json');
    expect([json.status, JSON.parse(json.stdout).damage]).toMatchObject([
      1,
      [
        {
          kind: 'layer',
          path,
          error: { code: 'ERR_STACKSHIM_LAYER_CORRUPT' },
          hits: [{ stack: 'one', revision: 1, current: true }],
        },
      ],
    ]);
    expect(await cli('verify', 'two')).toMatchObject({ status: 0 });
    expect(await cli('verify', 'two', 'one')).toMatchObject({ status: 1 });
  });

  it('refuses invalid names and names that do not exist', async () => {
    await lab.add('one', 'one');
    expect(await cli('verify', 'No!')).toMatchObject({ status: 2, stdout: '' });
    const missing = await cli('verify', 'ones');
    expect(missing).toMatchObject({ status: 3, stdout: '' });
    expect(missing.stderr).toContain('did you mean one?');
  });
});

describe('gc', () => {
  it('frees nothing if there is no garbage', async () => {
    await lab.add('one', 'one');
    expect(await cli('gc')).toMatchObject({ status: 0, stdout: 'freed 0 B\n', stderr: '' });
  });

  it('frees old revisions, unless a task runs on one', async () => {
    const one = await lab.add('one', 'one');
    const [, own] = layersOf(one);
    const waiting = startCli(
      ['run', '--name', 'waiting', 'one', '--', 'sh', '-c', 'echo ready; exec sleep 1000'],
      { env: lab.env },
    );
    await waiting.printed('ready');
    await lab.add('one', 'two');
    const first = await cli('gc', '--json', '--keep-revisions', '1');
    await cli('kill', 'waiting');
    await waiting.ended;
    expect(JSON.parse(first.stdout)).toMatchObject({
      dryRun: false,
      revisions: [],
      images: [],
      layers: [],
    });
    // The volume that the task left.
    await cli('gc');
    const told = await cli('gc', '--keep-revisions', '1', '--dry-run');
    expect(told.stdout).toBe(
      `revision one@rev:1\nimage ${one.image}\nlayer ${own} 4.0 KiB\nwould free 4.0 KiB\n`,
    );
    expect(await cli('gc', '--keep-revisions', '1')).toMatchObject({
      status: 0,
      stdout: told.stdout.replace('would free', 'freed'),
    });
    expect(await cli('run', 'one', '--', 'cat', '/seed')).toMatchObject({
      status: 0,
      stdout: 'two',
    });
    expect(await cli('verify')).toMatchObject({ status: 0 });
  });

  it('says what prevents it from examining everything', async () => {
    const [shared] = layersOf(await lab.add('one', 'one'));
    await lab.import('unused');
    spoil(`${lab.layout.root}/stacks/one/1.json`);
    const { status, stdout, stderr } = await cli('gc');
    expect({ status, stdout }).toEqual({ status: 1, stdout: 'freed 0 B\n' });
    expect(stderr).toContain('[ERR_STACKSHIM_STACK_CORRUPT]');
    expect(sizeOf(shared)).toBeGreaterThan(0);
  });

  it('refuses an invalid number', async () => {
    for (const number of ['-1', 'all', '1.5', '']) {
      const { status, stderr } = await cli('gc', `--keep-revisions=${number}`);
      expect(status).toBe(2);
      expect(stderr).toContain('[ERR_STACKSHIM_SPEC_INVALID]');
    }
  });
});

describe('df', () => {
  it('shows own and shared sizes, and what gc would free', async () => {
    const [shared, old] = layersOf(await lab.add('one', 'one'));
    const [, own] = layersOf(await lab.add('one', 'two'));
    const [, other] = layersOf(await lab.add('two', 'three'));
    const unused = (await lab.import('four')).layers[1] as LayerId;
    const { status, stdout } = await cli('df', '--json');
    expect(status).toBe(0);
    const sizes = [shared, old, own, other, unused].map(sizeOf);
    const all = sizes.reduce((sum, bytes) => sum + bytes, 0);
    expect(JSON.parse(stdout)).toMatchObject({
      stacks: [
        {
          name: 'one',
          revision: 2,
          revisions: 2,
          ownBytes: sizeOf(old) + sizeOf(own),
          historyBytes: sizeOf(old),
          sharedBytes: sizeOf(shared),
        },
        { name: 'two', revisions: 1, ownBytes: sizeOf(other), historyBytes: 0 },
      ],
      layers: { count: 5, bytes: all },
      images: { count: 4 },
      reclaimableBytes: sizeOf(unused),
      freeBytes: expect.any(Number),
    });
    const table = (await cli('df')).stdout;
    expect(table).toMatch(/^STACK +REVISIONS +OWN +OF OLD REVISIONS +SHARED\none /);
    expect(table).toMatch(/\ngc would free +4\.0 KiB\n/);
  });

  it('works before any stack exists', async () => {
    const { status, stdout } = await cli('df', '--json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ stacks: [], layers: { count: 0, bytes: 0 } });
  });
});

it.each(['verify', 'gc', 'df'])('%s needs root', async (command) => {
  const through = ['setpriv', '--reuid', '65534', '--clear-groups'];
  const { status, stderr } = await runCli([command], { env: lab.env, through });
  expect(status).toBe(1);
  expect(stderr).toContain('[ERR_STACKSHIM_NOT_ROOT]');
});
