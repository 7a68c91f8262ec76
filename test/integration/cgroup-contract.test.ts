/** The contract of cgroup drivers, on this machine's hierarchies with a real process in a real cgroup. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CgroupShare } from '../../src/cgroup/cgroup-driver.ts';
import { cgroupV1 } from '../../src/cgroup/cgroup-v1.ts';
import { cgroupV2 } from '../../src/cgroup/cgroup-v2.ts';
import { hierarchiesOf, openCgroupDriver } from '../../src/cgroup/open-cgroup-driver.ts';
import { readMounts } from '../../src/sys/mountinfo.ts';
import { entryPath } from '../../src/sys/paths.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const MIB = 1024 * 1024;
/** A depth at which the path is longer than PATH_MAX, 4096 bytes. */
const DEPTH = 40;

const hierarchies = hierarchiesOf(readMounts());
const cgroup2 = readMounts().find(({ filesystem }) => filesystem === 'cgroup2')?.mountPoint;
const candidates = [
  {
    name: 'v1',
    roots: hierarchies.map(({ mountPoint }) => mountPoint),
    make: () => cgroupV1(hierarchies),
  },
  {
    name: 'v2',
    roots: cgroup2 === undefined ? [] : [cgroup2],
    make: () => cgroupV2(cgroup2 ?? ''),
  },
].filter(({ roots }) => roots.length > 0);

test('this machine has a cgroup hierarchy to test on', () => {
  expect(candidates.length).toBeGreaterThan(0);
  expect(openCgroupDriver().version).toBe(
    hierarchies.some((h) => h.controllers.length > 0) ? 1 : 2,
  );
  expect(openCgroupDriver()).toBe(openCgroupDriver());
});

describe.each(candidates)('cgroup $name', ({ roots, make }) => {
  const parent = `/stackshim-test-${randomBytes(4).toString('hex')}`;
  const path = `${parent}/task`;
  const driver = make();
  const directories = roots.map((root) => root + path);
  let child: ChildProcess | undefined;

  async function startWithin(cgroup: string, script: string): Promise<number> {
    child = spawn('/bin/sh', ['-c', `read go; ${script}`], { stdio: ['pipe', 'ignore', 'ignore'] });
    await once(child, 'spawn');
    for (const root of roots) {
      // A cpuset accepts processes only after it has processors and memory nodes.
      for (const file of ['cpuset.cpus', 'cpuset.mems']) {
        for (const group of [parent, path, cgroup]) {
          if (existsSync(`${root}${group}/${file}`)) writeFileSync(`${root}${group}/${file}`, '0');
        }
      }
      writeFileSync(`${root}${cgroup}/cgroup.procs`, String(child.pid));
    }
    child.stdin?.write('go\n');
    return child.pid ?? 0;
  }

  async function endChild(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  beforeEach(() => {
    for (const directory of directories) mkdirSync(directory, { recursive: true });
  });

  afterEach(async () => {
    await endChild();
    expect(await driver.remove(path)).toEqual([]);
    expect(await driver.remove(parent)).toEqual([]);
    expect(driver.existing(parent)).toEqual([]);
  });

  test('finds the cgroup in every hierarchy and removes it; a second call does nothing', async () => {
    expect(driver.existing(path)).toEqual(directories);
    expect(await driver.remove(path)).toEqual([]);
    expect(driver.existing(path)).toEqual([]);
    expect(await driver.remove(path)).toEqual([]);
    expect(driver.existing(parent)).toHaveLength(roots.length);
  });

  test('lists processes of nested cgroups as well, and keeps a cgroup that contains a process', async () => {
    const nested = `${path}/nested`;
    for (const root of roots) mkdirSync(root + nested);
    const pid = await startWithin(nested, 'sleep 600');
    expect(driver.listProcesses(path)).toContain(pid);
    expect(await driver.remove(path)).toEqual(directories);
    expect(driver.existing(path)).toEqual(directories);
    child?.kill('SIGKILL');
    // The shell's child stays in the cgroup.
    for (const left of driver.listProcesses(path)) if (left !== pid) process.kill(left, 'SIGKILL');
    await endChild();
    await expect.poll(() => driver.listProcesses(path)).toEqual([]);
    expect(await driver.remove(path)).toEqual([]);
    expect(driver.existing(path)).toEqual([]);
  });

  test('reads the names of nested cgroups as bytes', async () => {
    const pid = await startWithin(path, 'exec sleep 600');
    for (const root of roots) {
      const nested = entryPath(entryPath(Buffer.from(root + path), '\x80'), '\x81');
      mkdirSync(nested, { recursive: true });
      // The cpuset has no processors yet.
      if (!existsSync(entryPath(nested, 'cpuset.mems')) || cgroup2 === root)
        writeFileSync(entryPath(nested, 'cgroup.procs'), String(pid));
    }
    expect(driver.listProcesses(path)).toEqual([pid]);
    await driver.killProcesses(path);
    await endChild();
    await expect.poll(() => driver.remove(path)).toEqual([]);
    expect(driver.existing(path)).toEqual([]);
  });

  test('lists and removes cgroups that are nested deeper than a path can name', async () => {
    const pid = await startWithin(path, 'exec sleep 600');
    const isCpuset = (root: string) => root !== cgroup2 && existsSync(`${root}${path}/cpuset.mems`);
    for (const root of roots) {
      const script = `cd "$1"; for i in $(seq ${DEPTH}); do mkdir "$2" && cd -P ./"$2" || exit; done; $3`;
      const move = isCpuset(root) ? '' : `echo ${pid} > cgroup.procs`;
      execFileSync('sh', ['-c', script, 'sh', root + path, 'd'.repeat(250), move]);
    }
    expect(driver.listProcesses(path)).toEqual([pid]);
    expect(await driver.remove(path)).toEqual(directories);
    await driver.killProcesses(path);
    await endChild();
    await expect.poll(() => driver.remove(path)).toEqual([]);
    expect(driver.existing(path)).toEqual([]);
  });

  test('removes the parent only if it is empty, and never another cgroup below it', async () => {
    expect(await driver.remove(parent)).toEqual(roots.map((root) => root + parent));
    expect(driver.existing(path)).toEqual(directories);
  });

  test('counts processor time of a process that ended', async () => {
    await startWithin(path, 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done');
    if (child !== undefined) await once(child, 'exit');
    const usage = driver.readUsage(path);
    expect((usage.cpuUserMs ?? 0) + (usage.cpuSystemMs ?? 0)).toBeGreaterThan(0);
  });

  test('reports processor time that grows with its use', async () => {
    const before = driver.readCpuMs(path);
    await startWithin(path, 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done');
    if (child !== undefined) await once(child, 'exit');
    expect(driver.readCpuMs(path)).toBeGreaterThan(before ?? 0);
  });

  test('kills every process, however fast they fork', async () => {
    // Bounded, so that a failing test does not overload the machine.
    const storm =
      'storm() { [ $1 -gt 400 ] || storm $(($1 + 1)) & [ $1 -gt 400 ] || storm $(($1 + 1)) & sleep 600; }; storm 394; wait';
    await startWithin(path, storm);
    await waitUntil(() => driver.listProcesses(path).length > 50);
    await driver.killProcesses(path);
    await expect.poll(() => driver.listProcesses(path), { timeout: 10_000 }).toEqual([]);
    await endChild();
    // A frozen process must be able to continue.
    const pid = await startWithin(path, 'sleep 600');
    expect(driver.listProcesses(path)).toContain(pid);
    for (const left of driver.listProcesses(path)) process.kill(left, 'SIGKILL');
    await endChild();
    await expect.poll(() => driver.listProcesses(path)).toEqual([]);
  });

  test('thaws and kills frozen processes', async () => {
    const freezer = freezerOf(roots);
    await startWithin(path, 'trap "" TERM; sleep 600');
    const { file, frozen } = freezer;
    writeFileSync(`${freezer.root}${path}/${file}`, frozen);
    await driver.killProcesses(path);
    await expect.poll(() => driver.listProcesses(path), { timeout: 10_000 }).toEqual([]);
    await endChild();
    if (file === 'cgroup.freeze') writeFileSync(`${freezer.root}${path}/${file}`, '0');
  });

  test('freezes and thaws, also processes that fork meanwhile', async () => {
    const live = await driver.openLive();
    await startWithin(path, 'while :; do (:); done');
    expect([driver.isFrozen(path), live.readUsage(path).isFrozen]).toEqual([false, false]);
    expect(await live.freeze(path)).toBe('frozen');
    expect([driver.isFrozen(path), live.readUsage(path).isFrozen]).toEqual([true, true]);
    const used = driver.readCpuMs(path);
    await live.freeze(path);
    expect(driver.readCpuMs(path)).toBe(used);
    driver.thaw(path);
    expect(driver.isFrozen(path)).toBe(false);
    await waitUntil(() => (driver.readCpuMs(path) ?? 1) > (used ?? 0));
    await driver.killProcesses(path);
    await endChild();
    await expect.poll(() => driver.listProcesses(path)).toEqual([]);
  });

  test('reads what a running group uses, and changes its limits', async () => {
    const live = await driver.openLive();
    const has = (controller: string) => driver.controllers.includes(controller);
    if (driver.version === 2 && has('memory')) {
      // A runtime does this for the groups above a task's own.
      for (const group of ['', parent]) {
        writeFileSync(`${roots[0]}${group}/cgroup.subtree_control`, '+cpu +memory +pids');
      }
    }
    await startWithin(path, 'exec sleep 600');
    const limits = { memoryBytes: 64 * MIB, cpus: 0.5, pids: 20 };
    if (has('memory') && has('cpu') && has('pids')) {
      await live.setLimits(path, limits);
      expect(live.readUsage(path)).toMatchObject({
        memoryLimitBytes: 64 * MIB,
        pids: 1,
        pidsLimit: 20,
        oomKills: 0,
      });
      await live.setLimits(path, { memoryBytes: 128 * MIB });
      expect(live.readUsage(path)).toMatchObject({ memoryLimitBytes: 128 * MIB, pidsLimit: 20 });
      await live.setLimits(path, { memoryBytes: 32 * MIB, cpus: 2 });
      const usage = live.readUsage(path);
      expect(usage.memoryLimitBytes).toBe(32 * MIB);
      expect(usage.memoryBytes ?? -1).toBeGreaterThanOrEqual(0);
      expect(usage.memoryPeakBytes ?? -1).toBeGreaterThanOrEqual(0);
    }
    if (has('cpuacct') || driver.version === 2) {
      expect(live.readUsage(path).cpuMs).toBeGreaterThanOrEqual(0);
    }
  });

  test('of a group that does not exist, nothing is known, frozen or thawed', async () => {
    expect(await driver.remove(path)).toEqual([]);
    const live = await driver.openLive();
    const { isFrozen, ...usage } = live.readUsage(path);
    expect(isFrozen).toBe(false);
    expect(new Set(Object.values(usage))).toEqual(new Set([null]));
    expect(await live.freeze(path)).toBe('gone');
    driver.thaw(path);
    expect(driver.isFrozen(path)).toBe(false);
  });

  test('reports no processes for a cgroup that does not exist, and kills none', async () => {
    expect(await driver.remove(path)).toEqual([]);
    expect(driver.listProcesses(path)).toEqual([]);
    await driver.killProcesses(path);
    expect(driver.existing(path)).toEqual([]);
  });

  test('shares a group among the tasks below it, and later with other settings', async () => {
    const group = `${parent}/tenant-acme`;
    const below = `${group}/task`;
    for (const share of [
      { weight: 250, cpus: 1.5, memoryBytes: 64 * MIB },
      { weight: 100, cpus: 0.5, memoryBytes: 128 * MIB },
      { weight: 1, cpus: null, memoryBytes: null },
    ]) {
      await driver.shareGroup(group, share);
      expect(driver.children(parent)).toContain('tenant-acme');
      for (const { controller, file, text } of expectedShares(driver.version, share)) {
        if (!driver.controllers.includes(controller)) continue;
        const root = rootOf(driver.version, controller);
        expect(readFileSync(`${root}${group}/${file}`, 'utf8').trim()).toBe(text);
      }
    }
    for (const root of roots) mkdirSync(root + below, { recursive: true });
    expect(await driver.remove(group)).toEqual(roots.map((root) => root + group));
    expect(await driver.remove(below)).toEqual([]);
    expect(await driver.remove(group)).toEqual([]);
    expect(driver.existing(group)).toEqual([]);
  });
});

/** Freezes a group in the hierarchy that can. */
function freezerOf(roots: readonly string[]) {
  const v1 = hierarchies.find(({ controllers }) => controllers.includes('freezer'))?.mountPoint;
  return v1 !== undefined && roots.includes(v1)
    ? { root: v1, file: 'freezer.state', frozen: 'FROZEN' }
    : { root: roots[0] ?? '', file: 'cgroup.freeze', frozen: '1' };
}

const rootOf = (version: 1 | 2, controller: string) =>
  version === 2
    ? cgroup2
    : hierarchies.find(({ controllers }) => controllers.includes(controller))?.mountPoint;

/** The values of a share in the kernel's files. */
function expectedShares(version: 1 | 2, { weight, cpus, memoryBytes }: CgroupShare) {
  const quota = cpus === null ? undefined : String(cpus * 100_000);
  if (version === 2) {
    return [
      { controller: 'cpu', file: 'cpu.weight', text: String(weight) },
      { controller: 'cpu', file: 'cpu.max', text: `${quota ?? 'max'} 100000` },
      { controller: 'memory', file: 'memory.max', text: String(memoryBytes ?? 'max') },
    ];
  }
  const most = memoryBytes === null ? '9223372036854771712' : String(memoryBytes);
  return [
    { controller: 'cpu', file: 'cpu.shares', text: String(Math.round(weight * 10.24)) },
    { controller: 'cpu', file: 'cpu.cfs_quota_us', text: quota ?? '-1' },
    { controller: 'memory', file: 'memory.limit_in_bytes', text: most },
    { controller: 'memory', file: 'memory.kmem.tcp.limit_in_bytes', text: most },
  ];
}

// Empty on a machine with only cgroup v2.
const memoryHierarchies = hierarchies.filter(({ controllers }) => controllers.includes('memory'));
describe.each(memoryHierarchies)('cgroup v1 memory at $mountPoint', ({ mountPoint }) => {
  test('counts an OOM kill and the peak', async () => {
    const path = `/stackshim-test-${randomBytes(4).toString('hex')}/task`;
    const directory = mountPoint + path;
    const driver = cgroupV1(hierarchies);
    mkdirSync(directory, { recursive: true });
    writeFileSync(`${directory}/memory.limit_in_bytes`, '8M');
    writeFileSync(`${directory}/memory.memsw.limit_in_bytes`, '8M');
    const hog = spawn(
      '/bin/sh',
      ['-c', `echo $$ > ${directory}/cgroup.procs; exec tail /dev/zero`],
      { stdio: 'ignore' },
    );
    try {
      const [, signal] = await once(hog, 'exit');
      expect(signal).toBe('SIGKILL');
      const usage = driver.readUsage(path);
      expect(usage.oomKills).toBe(1);
      expect(usage.memoryPeakBytes).toBe(8 * 1024 * 1024);
    } finally {
      hog.kill('SIGKILL');
      expect(await driver.remove(path)).toEqual([]);
      expect(await driver.remove(path.slice(0, path.lastIndexOf('/')))).toEqual([]);
    }
  });
});
