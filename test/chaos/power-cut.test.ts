/**
 * Power cuts: what was reported as stored is complete afterwards, wherever the disk stopped, and no task survives a reboot, whatever
 * the run folder still contains.
 * Requires: root, loop devices, ext4, unshare.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { taskCgroup } from '../../src/cgroup/cgroup-names.ts';
import { openCgroupDriver } from '../../src/cgroup/open-cgroup-driver.ts';
import { parseTaskId } from '../../src/core/ids.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { readMounts } from '../../src/sys/mountinfo.ts';
import { bootId } from '../../src/sys/processes.ts';
import { syncDirectory } from '../../src/sys/write-file.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { writePolicy } from '../support/installation/write-policy.ts';
import { runFixture, startFixture, waitForLine } from '../support/programs/bun-fixture.ts';
import { makeBusyboxTar } from '../support/stacks/busybox-stack.ts';
import { isFullRun } from '../support/timing/full-run.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import { type CutDisk, makeCutDisk } from './support/cut-disk.ts';
import { seedRandom } from './support/seeded-random.ts';

const importer = new URL('../fixtures/add-stacks.ts', import.meta.url);
const collector = new URL('../fixtures/collect-garbage.ts', import.meta.url);
const checker = new URL('../fixtures/check-store.ts', import.meta.url);
const CUTS = isFullRun ? 200 : 25;

describe('the disk of these tests', () => {
  let disk: CutDisk;

  beforeAll(() => {
    disk = makeCutDisk(256);
  });
  afterAll(() => disk.dispose());

  it('loses what was not synced', async () => {
    const [lost, kept] = ['lost', 'kept'].map((name) => join(disk.folder, name)) as [
      string,
      string,
    ];
    writeFileSync(`${kept}.tmp`, 'text', { flush: true });
    renameSync(`${kept}.tmp`, kept);
    await syncDirectory(disk.folder);
    writeFileSync(`${lost}.tmp`, 'text');
    renameSync(`${lost}.tmp`, lost);
    const [keptText, lostText] = await disk.cut([], (folder) =>
      Promise.all(
        ['kept', 'lost'].map((name) => readFile(join(folder, name), 'utf8').catch(() => '')),
      ),
    );
    expect([keptText, lostText]).toEqual(['text', '']);
  });

  it('holds every stack that was reported as stored, and no incomplete one', {
    timeout: 1_200_000,
  }, async () => {
    const random = seedRandom('power-cut');
    const [root, tar] = [join(disk.folder, 'lib'), join(disk.folder, 'base.tar')];
    mkdirSync(root);
    writeFileSync(tar, await makeBusyboxTar());
    const run = join(disk.folder, 'run');
    const added = new Map<string, number>();
    const writers = ['one', 'two'].map((name) =>
      follow(name, added, [root, run, name, tar, '100000']),
    );
    const policyFile = join(disk.folder, 'policy.json');
    writePolicy({ policyFile });
    const collecting = startFixture(collector, [root, run, policyFile, '20']);
    await waitForLine(collecting, 'ready');
    await waitUntil(() => added.size === 2);
    try {
      for (let cut = 0; cut < CUTS; cut += 1) {
        await delay(random.next() * 300);
        // Everything read until here was printed before the cut.
        const said = Object.fromEntries(added);
        const found = await disk.cut([...writers, collecting], async (folder) =>
          JSON.parse(await runFixture(checker, [join(folder, 'lib')])),
        );
        expect({ cut, damage: found.damage }).toEqual({ cut, damage: [] });
        for (const [name, revision] of Object.entries(said)) {
          expect(found.stacks[name], `${name} in cut ${cut}`).toBeGreaterThanOrEqual(revision);
        }
      }
      expect([...writers, collecting].map(({ exitCode }) => exitCode)).toEqual([null, null, null]);
    } finally {
      await Promise.all([...writers, collecting].map(end));
    }
  });
});

/** Imports images and keeps the newest revision that was reported in `added`. */
function follow(name: string, added: Map<string, number>, args: readonly string[]): ChildProcess {
  const importing = startFixture(importer, args);
  if (importing.stdout === null) throw new Error('no stdout');
  createInterface({ input: importing.stdout }).on('line', (line) => {
    const revision = /^added (\d+)$/.exec(line)?.[1];
    if (revision !== undefined) added.set(name, Number(revision));
  });
  return importing;
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

describe('after a reboot', () => {
  const { installation, run, start, folder } = useTaskRunner();
  const { layout, env } = installation;
  const slots = join(folder, 'slots');
  const bootIdFile = join(folder, 'boot-id');

  /** Runs in a mount namespace with another boot id, and with slots as they were left. */
  const afterBoot = [
    ...['unshare', '--mount', '--propagation', 'private', 'sh', '-ec'],
    `mount --bind ${bootIdFile} /proc/sys/kernel/random/boot_id; mount --bind ${slots} ${layout.slots}; exec "$0" "$@"`,
  ];

  /** Cuts the power while two tasks run and one is kept. */
  async function cutPower(options: { readonly losesRunFolder: boolean }): Promise<void> {
    const tasks = ['one', 'two'].map((id) =>
      start(['--name', id], ['sh', '-c', 'echo text > /made; echo ready; exec sleep 1000']),
    );
    for (const task of tasks) await task.printed('ready');
    expect((await run(['--name', 'kept', '--keep'], ['true'])).status).toBe(0);
    writeFileSync(join(slots, '0'), `${bootId()}\ntwo\n${layout.run}\n`);
    for (const task of tasks) task.child.kill('SIGKILL');
    await Promise.all(tasks.map((task) => task.ended));
    for (const id of ['one', 'two', 'kept']) await forgetInKernel(id);
    for (const { mountPoint } of readMounts()) {
      if (mountPoint.startsWith(`${layout.run}/`)) linuxSystem.detachMount(mountPoint);
    }
    if (options.losesRunFolder) rmSync(layout.run, { recursive: true });
    writeFileSync(bootIdFile, `${crypto.randomUUID()}\n`);
  }

  async function forgetInKernel(id: string): Promise<void> {
    const cgroups = openCgroupDriver();
    const path = taskCgroup(layout, parseTaskId(id));
    for (const pid of cgroups.listProcesses(path)) process.kill(pid, 'SIGKILL');
    await waitUntil(async () => (await cgroups.remove(path)).length === 0);
  }

  /** With a file mounted below /proc, the kernel refuses a new proc to a user namespace. */
  const runAfterBoot = (id: string) =>
    runCli(['run', '--name', id, '--userns', 'host', 'busybox', 'sh', '-c', 'exit 3'], {
      env,
      through: afterBoot,
    });

  const scratch = () => readdirSync(join(layout.root, 'scratch'));

  it.each([
    { losesRunFolder: true, reaped: [] },
    { losesRunFolder: false, reaped: ['kept', 'one', 'two'] },
  ])(
    'tasks are reaped and new tasks run; the run folder is lost: $losesRunFolder',
    async ({ losesRunFolder, reaped }) => {
      mkdirSync(slots, { recursive: true });
      await cutPower({ losesRunFolder });
      expect(scratch()).toEqual(expect.arrayContaining(['kept', 'one', 'two']));
      const refused = await runCli(['run', '--name', 'one', 'busybox', 'true'], {
        env,
        through: afterBoot,
      });
      expect(refused.status).toBe(125);
      expect(refused.stderr).toContain('[ERR_STACKSHIM_TASK_CONFLICT]');
      // The slot that names a task of the last boot is given to another task.
      expect((await runAfterBoot('three')).status).toBe(3);
      expect(readFileSync(join(slots, '0'), 'utf8')).toBe('');
      const report = await runCli(['reap', '--json'], { env, through: afterBoot });
      expect(report).toMatchObject({ status: 0, stderr: '' });
      const exit = { exitCode: 0, signal: null, at: expect.any(String) };
      expect(JSON.parse(report.stdout)).toEqual({
        reaped: reaped.map((id) => ({
          ...{ id, removed: true, leftovers: [] },
          ...(id === 'kept' ? { exit } : {}),
        })),
        corrupt: [],
      });
      expect(scratch()).toEqual([]);
      expect(await runAfterBoot('one')).toMatchObject({ status: 3, stderr: '' });
      expect(await runCli(['verify'], { env, through: afterBoot })).toMatchObject({ status: 0 });
      expect(existsSync(join(layout.run, 'tasks', 'one'))).toBe(false);
      rmSync(slots, { recursive: true });
    },
  );
});
