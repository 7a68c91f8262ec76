/** `run` on damaged or full storage: one clear error each, and everything works again after repair. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import type { Layout } from '../../src/core/layout.ts';
import { type CliResult, runCli, startCli } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { disposeInstallation } from '../support/installation/dispose-installation.ts';
import { linkPatchedRunc } from '../support/installation/patched-runc.ts';
import { envOf, layoutBelow, makeInstallationFolder } from '../support/installation/test-layout.ts';
import { writePolicy } from '../support/installation/write-policy.ts';
import { makeGate, realRunc, writeFakeRuntime } from '../support/runtimes/fake-runtime.ts';
import { installBusyboxStack } from '../support/stacks/busybox-stack.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import { expectRefusal } from './support/refusal.ts';

const { installation } = useTaskRunner();

/** An installation for one test to damage. */
interface Copy {
  readonly layout: Layout;
  readonly env: Readonly<Record<string, string>>;
  run(...args: string[]): Promise<CliResult>;
}

function openCopy(folder: string): Copy {
  const layout = layoutBelow(folder);
  const env = envOf(layout);
  writePolicy(layout);
  return { layout, env, run: (...args) => runCli(['run', ...args], { env }) };
}

let folder: string;

beforeEach(() => {
  folder = makeInstallationFolder('copy');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Every file below a folder with a hash of its content; without locks, which every run may create. */
/** An idle volume is not part of the store. */
const isStored = (path: string) => !path.includes('/.idle-');

function copyRoot(copy: Copy): void {
  cpSync(installation.layout.root, copy.layout.root, {
    recursive: true,
    verbatimSymlinks: true,
    filter: isStored,
  });
}

function hashTree(path: string): readonly string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .map((entry) => ({ entry, name: join(entry.parentPath, entry.name) }))
    .filter(({ entry, name }) => entry.isFile() && !name.includes('/locks/') && isStored(name))
    .map(({ name }) => `${name} ${createHash('sha256').update(readFileSync(name)).digest('hex')}`)
    .sort();
}

describe('damaged state:', () => {
  let copy: Copy;
  beforeEach(() => {
    copy = openCopy(folder);
    copyRoot(copy);
  });
  afterEach(() => disposeInstallation(copy.layout));

  /** The only file in a folder of the copy. */
  const only = (path: string, suffix: string) => {
    const names = readdirSync(join(copy.layout.root, path)).filter((name) => name.endsWith(suffix));
    expect(names).toHaveLength(1);
    return join(copy.layout.root, path, names[0] ?? '');
  };

  /** Expects a refusal without changes to the store while `damage` lasts, and a run after it is undone. */
  async function expectRefused(file: string, damage: () => void, code: ErrorCode): Promise<void> {
    const sound = readFileSync(file);
    damage();
    const before = hashTree(copy.layout.root);
    const result = await copy.run('busybox', 'echo', 'ran');
    expectRefusal(result, code);
    expect(hashTree(copy.layout.root)).toEqual(before);
    rmSync(file, { recursive: true, force: true });
    writeFileSync(file, sound);
    expect(await copy.run('busybox', 'echo', 'ran')).toMatchObject({ status: 0, stdout: 'ran\n' });
  }

  const damages: readonly (readonly [string, (file: string) => void])[] = [
    ['empty', (file) => truncateSync(file, 0)],
    ['truncated', (file) => truncateSync(file, 20)],
    ['missing', (file) => rmSync(file)],
    ['not JSON', (file) => writeFileSync(file, 'not JSON')],
    ['of another shape', (file) => writeFileSync(file, '{"version":1}')],
  ];
  const raiseVersion = (file: string) =>
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), version: 99 }));

  it.each([
    ['generation', 'generations'],
    ['revision', 'stacks/busybox'],
    ['image', 'images'],
    ['layer record', 'layers'],
  ])('a %s that a newer stackshim wrote is distinguished from damage', async (_, folder) => {
    const file = only(folder, '.json');
    await expectRefused(file, () => raiseVersion(file), 'ERR_STACKSHIM_FORMAT_NEWER');
  });

  it.each(damages)('a generation that is %s', async (_, damage) => {
    const file = only('generations', '.json');
    await expectRefused(file, () => damage(file), 'ERR_STACKSHIM_STACK_CORRUPT');
  });

  it.each(damages)('a revision that is %s', async (_, damage) => {
    const file = only('stacks/busybox', '.json');
    await expectRefused(file, () => damage(file), 'ERR_STACKSHIM_STACK_CORRUPT');
  });

  it.each(damages)('an image that is %s', async (_, damage) => {
    const file = only('images', '.json');
    await expectRefused(file, () => damage(file), 'ERR_STACKSHIM_IMAGE_CORRUPT');
  });

  it.each(damages)('a layer record that is %s', async (_, damage) => {
    const file = only('layers', '.json');
    await expectRefused(file, () => damage(file), 'ERR_STACKSHIM_LAYER_CORRUPT');
  });

  it.each<readonly [string, (file: string) => void]>([
    ['truncated', (file) => truncateSync(file, 8192)],
    ['empty', (file) => truncateSync(file, 0)],
    ['missing', (file) => rmSync(file)],
    ['a folder', (file) => makeFolderOf(file)],
    ['damaged in its superblock', (file) => flip(file, 1024)],
    ['damaged in its superblock’s block size', (file) => flip(file, 1024 + 12)],
  ])('layer that is %s', async (_, damage) => {
    const file = only('layers', '.erofs');
    chmodSync(file, 0o644);
    await expectRefused(file, () => damage(file), 'ERR_STACKSHIM_LAYER_CORRUPT');
  });
  const makeFolderOf = (file: string) => {
    rmSync(file);
    mkdirSync(file);
  };
  const flip = (file: string, offset: number) => {
    const bytes = readFileSync(file);
    bytes.writeUInt8(bytes.readUInt8(offset) ^ 0xff, offset);
    writeFileSync(file, bytes);
  };

  it('a link to the current generation', async () => {
    const link = join(copy.layout.root, 'current');
    const sound = readlinkSync(link);
    for (const target of ['generations/99.json', '../../etc/passwd', 'generations/../x']) {
      rmSync(link);
      symlinkSync(target, link);
      expectRefusal(await copy.run('busybox', 'true'), 'ERR_STACKSHIM_STACK_CORRUPT');
    }
    rmSync(link);
    expectRefusal(await copy.run('busybox', 'true'), 'ERR_STACKSHIM_STACK_NOT_FOUND');
    symlinkSync(sound, link);
    expect(await copy.run('busybox', 'true')).toMatchObject({ status: 0 });
  });

  it('a record of another task does not disturb, and that task can be killed', async () => {
    const { env, layout } = copy;
    mkdirSync(join(layout.run, 'tasks/hurt'), { recursive: true });
    writeFileSync(join(layout.run, 'tasks/hurt/record.json'), '{"version":1,"id"');
    expect(await copy.run('busybox', 'true')).toMatchObject({ status: 0 });
    expectRefusal(
      await copy.run('--name', 'hurt', 'busybox', 'true'),
      'ERR_STACKSHIM_TASK_CONFLICT',
    );
    const reap = await runCli(['reap', '--json'], { env });
    expect(reap.status).toBe(1);
    expect(JSON.parse(reap.stdout)).toMatchObject({
      reaped: [],
      corrupt: [{ code: 'ERR_STACKSHIM_RECORD_CORRUPT' }],
    });
    expect(readdirSync(join(layout.run, 'tasks'))).toEqual(['hurt']);
    expect(await runCli(['kill', 'hurt'], { env })).toMatchObject({ status: 0 });
    expect(await copy.run('--name', 'hurt', 'busybox', 'true')).toMatchObject({ status: 0 });
  });
});

describe('a full disk', () => {
  /** Mounts a filesystem at `target`, and unmounts it after `use`. */
  async function onDisk(
    target: string,
    mount: readonly string[],
    use: () => Promise<void>,
  ): Promise<void> {
    mkdirSync(target, { recursive: true });
    execFileSync('mount', [...mount, target]);
    try {
      await use();
    } finally {
      execFileSync('umount', ['-l', target]);
    }
  }

  /** Fills every byte and every inode. */
  const fill = (path: string) => {
    execFileSync('sh', ['-c', `cat /dev/zero > ${path}/fill || true`], { stdio: 'ignore' });
    try {
      for (let i = 0; i < 10_000; i += 1) writeFileSync(join(path, `fill-${i}`), '');
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
    }
  };
  const makeRoom = (path: string) => {
    for (const name of readdirSync(path).filter((name) => name.startsWith('fill'))) {
      rmSync(join(path, name));
    }
  };

  it('below the root folder: no task runs until there is space, then tasks run again', async () => {
    const copy = openCopy(folder);
    const image = join(folder, 'disk.ext4');
    execFileSync('truncate', ['-s', '16M', image]);
    execFileSync('mkfs.ext4', ['-q', '-m', '0', '-N', '200', image]);
    await onDisk(copy.layout.root, ['-o', 'loop', image], async () => {
      mkdirSync(copy.layout.run);
      linkPatchedRunc(copy.layout);
      await installBusyboxStack(copy.layout);
      expect(await copy.run('busybox', 'true')).toMatchObject({ status: 0 });
      fill(copy.layout.root);
      const result = await copy.run('--payload', 'x', 'busybox', 'echo', 'ran');
      expectRefusal(result, 'ERR_STACKSHIM_DISK_FULL');
      expect(readdirSync(join(copy.layout.run, 'tasks'))).toEqual([]);
      makeRoom(copy.layout.root);
      const payload = ['--payload', 'x', 'busybox', 'sh', '-c', 'cat $PAYLOAD_FILE'];
      expect(await copy.run(...payload)).toMatchObject({ status: 0, stdout: 'x' });
      disposeInstallation({ ...copy.layout, root: join(copy.layout.root, 'none') });
    });
  });

  it('while code is packed', async () => {
    const copy = openCopy(folder);
    const image = join(folder, 'disk.ext4');
    execFileSync('truncate', ['-s', '24M', image]);
    execFileSync('mkfs.ext4', ['-q', '-m', '0', image]);
    const code = join(folder, 'code');
    mkdirSync(code);
    execFileSync('sh', ['-c', `head -c 40000000 /dev/urandom > ${code}/large`]);
    await onDisk(copy.layout.root, ['-o', 'loop', image], async () => {
      mkdirSync(copy.layout.run);
      linkPatchedRunc(copy.layout);
      await installBusyboxStack(copy.layout);
      const result = await copy.run('--code', code, 'busybox', 'echo', 'ran');
      expectRefusal(result, 'ERR_STACKSHIM_DISK_FULL');
      expect(readdirSync(join(copy.layout.root, 'scratch'))).toEqual([]);
      expect(await copy.run('busybox', 'true')).toMatchObject({ status: 0 });
      disposeInstallation({ ...copy.layout, root: join(copy.layout.root, 'none') });
    });
  });

  it('below the run folder', async () => {
    const copy = openCopy(folder);
    copyRoot(copy);
    await onDisk(copy.layout.run, ['-t', 'tmpfs', '-o', 'size=64k,mode=711', 'none'], async () => {
      expect(await copy.run('busybox', 'true')).toMatchObject({ status: 0 });
      fill(copy.layout.run);
      expectRefusal(await copy.run('busybox', 'echo', 'ran'), 'ERR_STACKSHIM_DISK_FULL');
      expect(readdirSync(join(copy.layout.run, 'tasks'))).toEqual([]);
      makeRoom(copy.layout.run);
      expect(await copy.run('busybox', 'true')).toMatchObject({ status: 0 });
      disposeInstallation({ ...copy.layout, run: join(copy.layout.run, 'layers') });
    });
  });

  it('that fills up while the container is created', async () => {
    const copy = openCopy(folder);
    copyRoot(copy);
    const gate = makeGate(folder, 'create');
    const path = join(folder, 'filling');
    writeFakeRuntime(path, { real: realRunc(copy.layout), beforeCreate: gate.stop });
    writePolicy(copy.layout, { allow: { runtimes: [path] } });
    await onDisk(copy.layout.run, ['-t', 'tmpfs', '-o', 'size=64k,mode=711', 'none'], async () => {
      const task = startCli(['run', '--runtime', path, 'busybox', 'echo', 'ran'], copy);
      await gate.reached();
      // The runtime starts before its configuration is complete.
      const tasks = join(copy.layout.run, 'tasks');
      const isConfigured = (id: string) =>
        lstatSync(join(tasks, id, 'bundle/config.json'), { throwIfNoEntry: false })?.isFile() ===
        true;
      await waitUntil(() => readdirSync(tasks).every(isConfigured));
      fill(copy.layout.run);
      await gate.open();
      const result = await task.ended;
      expect({ status: result.status, stdout: result.stdout }).toEqual({ status: 125, stdout: '' });
      expect(readdirSync(join(copy.layout.run, 'tasks'))).toEqual([]);
      disposeInstallation({ ...copy.layout, run: join(copy.layout.run, 'layers') });
    });
  });
});
