/** Scratch volumes: a kill between any two system calls loses and leaves nothing, and no used volume is given out with content. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TaskId } from '../../src/core/ids.ts';
import { type Layout, tasksDir } from '../../src/core/layout.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { readMounts } from '../../src/sys/mountinfo.ts';
import type { Slot } from '../../src/task/admission/slot.ts';
import {
  claimIdleVolume,
  listIdleVolumes,
  sweepIdleVolumes,
} from '../../src/task/disk/idle-volumes.ts';
import { openTaskDisk, toDiskLimit } from '../../src/task/disk/open-task-disk.ts';
import { loopName, readLoopDevices, removeScratch } from '../../src/task/disk/scratch-files.ts';
import type { TaskDisk } from '../../src/task/disk/task-disk.ts';
import { isFreshVolume, loopDeviceOf } from '../../src/task/disk/volume-state.ts';
import { taskPlaces } from '../../src/task/records/task-places.ts';
import { MACHINE_SLOTS } from '../support/installation/machine-slots.ts';
import { startFixture } from '../support/programs/bun-fixture.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const fixture = new URL('../fixtures/use-volume.ts', import.meta.url);
const holdFixture = new URL('../fixtures/hold-idle-volumes.ts', import.meta.url);
const LIMIT = toDiskLimit(16 * 1024 * 1024);

let layout: Layout;
const placesOf = (id: string) => taskPlaces(layout, id as TaskId);
const mounts = () =>
  readMounts()
    .map(({ mountPoint }) => mountPoint)
    .filter((mountPoint) => mountPoint.startsWith(layout.root));
const loopFiles = () =>
  [...readLoopDevices().keys()].filter((file) => file.startsWith(layout.root));

beforeEach(() => {
  const root = mkdtempSync('/var/tmp/stackshim-volumes-');
  layout = { root, run: `${root}/run`, policyFile: `${root}/policy`, slots: MACHINE_SLOTS };
  mkdirSync(tasksDir(layout), { recursive: true });
});
afterEach(() => {
  for (const point of mounts().toReversed()) linuxSystem.detachMount(point);
  rmSync(layout.root, { recursive: true });
});

const open = (id: string, isUsual = true): Promise<TaskDisk> =>
  openTaskDisk(
    { system: linuxSystem, layout },
    {
      mechanism: 'volume',
      limit: LIMIT,
      isUsual,
      places: placesOf(id),
      slot: { ids: { base: 0, size: 1 } } as Slot,
      userns: 'auto',
    },
  );

/** A program in its own mount namespace, which has a copy of every mount. Prints a line when it runs. */
const startHolder = () =>
  spawn('unshare', ['-m', 'sh', '-c', 'echo there; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });

/** Removes the volume of a task with a dead owner, as reap does. */
async function recover(id: string): Promise<void> {
  await removeScratch(linuxSystem, placesOf(id), readLoopDevices());
  sweepIdleVolumes(linuxSystem, layout);
}

/** Expects only idle volumes, each with its mount and its loop device. */
function expectSound(): void {
  const idle = listIdleVolumes(layout);
  expect(mounts().sort()).toEqual(idle.map(({ mount }) => mount).sort());
  expect(loopFiles().sort()).toEqual(idle.map(({ file }) => loopName(file, statSync(file))).sort());
  const names = readdirSync(`${layout.root}/scratch`);
  expect(names.filter((name) => !name.startsWith('.idle-'))).toEqual([]);
}

it('the kernel shows other users no name of a task with a volume', async () => {
  const disk = await open('customer-acme');
  const device = loopDeviceOf(placesOf('customer-acme').scratchDir);
  const told = readFileSync(`/sys/block/${device}/loop/backing_file`, 'utf8').trim();
  const { ino } = statSync(placesOf('customer-acme').volumeFile);
  expect(told).toBe(`${layout.root}/scratch/.loop-${ino} (deleted)`);
  expect(readdirSync(`${layout.root}/scratch`).sort()).toEqual([
    '.volume-customer-acme',
    'customer-acme',
  ]);
  await disk.remove();
});

describe('a process that is killed before each of its system calls', () => {
  /** True if the process ended without being killed. */
  async function killAt(id: string, call: number): Promise<boolean> {
    const child = startFixture(fixture, [layout.root, layout.run, id, `${call}`]);
    let printed = '';
    child.stdout?.on('data', (chunk) => {
      printed += chunk;
    });
    const signal = await new Promise((resolve) => child.once('close', (_, by) => resolve(by)));
    if (signal === null) expect(printed).toBe('removed\n');
    return signal === null;
  }

  it.each([
    ['without an idle volume', false],
    ['with an idle volume', true],
  ])('%s', async (_, waiting) => {
    let calls = 0;
    for (;;) {
      const id = `killed-${calls}`;
      if (waiting && listIdleVolumes(layout).length === 0) await (await open('first')).remove();
      mkdirSync(`${tasksDir(layout)}/${id}`);
      const ended = await killAt(id, calls);
      await recover(id);
      rmSync(`${tasksDir(layout)}/${id}`, { recursive: true });
      sweepIdleVolumes(linuxSystem, layout);
      expectSound();
      if (ended) break;
      if (!waiting) {
        for (const { file } of listIdleVolumes(layout)) unlinkSync(file);
        sweepIdleVolumes(linuxSystem, layout);
      }
      calls += 1;
    }
    expect(calls).toBeGreaterThan(5);
  });
});

describe('an idle volume', () => {
  it('is given to one task only', async () => {
    const disks = await Promise.all(['a', 'b', 'c'].map((id) => open(id)));
    for (const disk of disks) await disk.remove();
    expect(listIdleVolumes(layout)).toHaveLength(3);
    await waitUntil(() => listIdleVolumes(layout).every(({ mount }) => isFreshVolume(mount)));
    const again = await Promise.all(['d', 'e', 'f', 'g'].map((id) => open(id)));
    expect(listIdleVolumes(layout)).toHaveLength(0);
    expect(new Set(loopFiles()).size).toBe(4);
    for (const disk of again) await disk.remove();
    expectSound();
  });

  it('is not given to a task while an open file without a name lies in it', async () => {
    await (await open('first')).remove();
    const [idle] = listIdleVolumes(layout);
    const held = openSync(`${idle?.mount}/file`, 'w');
    unlinkSync(`${idle?.mount}/file`);
    const claim = () => claimIdleVolume(linuxSystem, layout, placesOf('next'), LIMIT.bytes);
    expect(claim()).toBeUndefined();
    expect(existsSync(idle?.file ?? '')).toBe(true);
    closeSync(held);
    const claimed = claim();
    expect(claimed?.volume).toBeGreaterThan(0);
    linuxSystem.close(claimed?.volume ?? -1);
    await claimed?.detached;
    await recover('next');
    expectSound();
  });

  it('is not given to a task if the kernel has found an error in it', async () => {
    const disk = await open('broken');
    const device = loopDeviceOf(placesOf('broken').scratchDir);
    writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, 'of a test');
    expect(readFileSync(`/sys/fs/ext4/${device}/errors_count`, 'utf8').trim()).toBe('1');
    await disk.remove();
    expect(listIdleVolumes(layout)).toEqual([]);
    expectSound();
  });

  it('is void after a reboot, because its mount is gone', async () => {
    await (await open('first')).remove();
    for (const { mount } of listIdleVolumes(layout)) linuxSystem.detachMount(mount);
    const disk = await open('next');
    expect(mounts()).toEqual([placesOf('next').scratchDir]);
    await disk.remove();
    sweepIdleVolumes(linuxSystem, layout);
    expect(listIdleVolumes(layout)).toHaveLength(1);
    expectSound();
  });
});

it('many volumes that are made at the same time each get a loop device', async () => {
  const attached = await Promise.all(
    Array.from({ length: 80 }, async (_, index) => {
      const file = openSync(`${layout.root}/file-${index}`, 'wx+');
      ftruncateSync(file, 65_536);
      const device = await linuxSystem.attachLoopDeviceAside(file);
      closeSync(file);
      return device;
    }),
  );
  expect(new Set(attached.map(({ path }) => path)).size).toBe(80);
  for (const { fd } of attached) closeSync(fd);
});

it('idle volumes of another mount namespace are not counted, and are removed after its end', async () => {
  const elsewhere = startFixture(
    holdFixture,
    [layout.root, layout.run, '32'],
    ['unshare', '-m', '--propagation', 'private'],
  );
  try {
    await once(elsewhere.stdout ?? elsewhere, 'data');
    expect(listIdleVolumes(layout)).toHaveLength(32);
    await (await open('first')).remove();
    expect(mounts()).toHaveLength(1);
    await waitUntil(() => mounts().every(isFreshVolume));
    const disk = await open('next');
    // The volume was taken from those that were idle here.
    expect(mounts()).toEqual([placesOf('next').scratchDir]);
    await disk.remove();
    expect(listIdleVolumes(layout)).toHaveLength(33);
  } finally {
    elsewhere.kill('SIGKILL');
    await once(elsewhere, 'close');
  }
  sweepIdleVolumes(linuxSystem, layout);
  expect(listIdleVolumes(layout)).toHaveLength(1);
  await waitUntil(() => loopFiles().length === 1);
  expectSound();
});

it('a volume is removed if the name for its device is lost', async () => {
  const { volumeFile } = placesOf('half');
  mkdirSync(`${layout.root}/scratch`);
  writeFileSync(volumeFile, '');
  linkSync(volumeFile, loopName(volumeFile, statSync(volumeFile)));
  await recover('half');
  expect(readdirSync(`${layout.root}/scratch`)).toEqual([]);
});

it('a volume is removed even if another mount namespace has a copy of its mount', async () => {
  const disk = await open('copied', false);
  const holder = startHolder();
  try {
    await once(holder.stdout, 'data');
    await disk.remove();
    expect(loopFiles()).toEqual([]);
    expectSound();
  } finally {
    holder.kill('SIGKILL');
  }
});

it('a volume with an open file is emptied', async () => {
  const { scratchDir, volumeFile } = placesOf('held');
  const disk = await open('held', false);
  const held = openSync(`${scratchDir}/file`, 'w');
  const file = openSync(volumeFile, 'r');
  const name = loopName(volumeFile, statSync(volumeFile));
  try {
    await disk.remove();
    expect(fstatSync(file)).toMatchObject({ size: 0, nlink: 0 });
    expect(loopFiles()).toEqual([name]);
  } finally {
    closeSync(held);
    closeSync(file);
  }
  await waitUntil(() => loopFiles().length === 0);
  expectSound();
});
