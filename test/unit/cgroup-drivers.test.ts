/** Both cgroup drivers on folders that hold the kernel's files as text. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cgroupV1 } from '../../src/cgroup/cgroup-v1.ts';
import { cgroupV2 } from '../../src/cgroup/cgroup-v2.ts';
import { cgroupDirectory } from '../../src/cgroup/cgroups-path.ts';
import { hierarchiesOf, openCgroupDriver } from '../../src/cgroup/open-cgroup-driver.ts';
import { parseMountinfo } from '../../src/sys/mountinfo.ts';

const path = '/stackshim-test/t1';
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'stackshim-cgroup-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function writeFiles(directory: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
}

describe('cgroup v2', () => {
  test('reads every counter', () => {
    writeFiles(root, { 'cgroup.controllers': 'cpu io memory pids\n' });
    writeFiles(root + path, {
      'memory.peak': '9216000\n',
      'memory.events': 'low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n',
      'cpu.stat': 'usage_usec 28500\nuser_usec 20500\nsystem_usec 8000\nnr_periods 1\n',
      'pids.peak': '3\n',
      'io.stat':
        '8:0 rbytes=4096 wbytes=10 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2\n',
    });
    const driver = cgroupV2({ root });
    expect(driver.version).toBe(2);
    expect(driver.controllers).toEqual(['cpu', 'io', 'memory', 'pids']);
    expect(driver.readUsage(path)).toEqual({
      cpuUserMs: 20.5,
      cpuSystemMs: 8,
      memoryPeakBytes: 9216000,
      pidsPeak: 3,
      oomKills: 2,
      ioReadBytes: 4097,
      ioWriteBytes: 12,
    });
  });

  test('a counter without a file is null, never 0', () => {
    writeFiles(root + path, { 'cpu.stat': 'usage_usec 5\n', 'memory.peak': 'max\n' });
    const none = { cpuUserMs: null, cpuSystemMs: null, memoryPeakBytes: null, pidsPeak: null };
    const driver = cgroupV2({ root });
    expect(driver.controllers).toEqual([]);
    expect(driver.readUsage(path)).toEqual({
      ...none,
      oomKills: null,
      ioReadBytes: null,
      ioWriteBytes: null,
    });
    expect(driver.readUsage('/stackshim-test/absent')).toMatchObject(none);
  });

  test('a removed cgroup does not hide the counters of the next', () => {
    writeFiles(`${root}/stackshim-test/next`, { 'memory.peak': '1\n' });
    const driver = cgroupV2({ root });
    expect(driver.readUsage('/stackshim-test/gone').memoryPeakBytes).toBeNull();
    expect(driver.readUsage('/stackshim-test/next').memoryPeakBytes).toBe(1);
  });

  test('lists the processes of nested cgroups', () => {
    writeFiles(root + path, { 'cgroup.procs': '11\n12\n' });
    writeFiles(`${root}${path}/child`, { 'cgroup.procs': '13\n' });
    expect(cgroupV2({ root }).listProcesses(path)).toEqual([11, 12, 13]);
    expect(cgroupV2({ root }).listProcesses('/stackshim-test/absent')).toEqual([]);
  });
});

describe('cgroup v1', () => {
  const driverOf = (controllers: readonly string[]) =>
    cgroupV1({
      hierarchies: controllers.map((controller) => ({
        mountPoint: `${root}/${controller}`,
        controllers: [controller],
      })),
    });

  test('reads every counter', () => {
    writeFiles(`${root}/memory${path}`, {
      'memory.max_usage_in_bytes': '9216000\n',
      'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n',
    });
    writeFiles(`${root}/cpuacct${path}`, {
      'cpuacct.usage_user': '20500000\n',
      'cpuacct.usage_sys': '8000000\n',
    });
    writeFiles(`${root}/pids${path}`, { 'pids.peak': '3\n' });
    writeFiles(`${root}/blkio${path}`, {
      'blkio.throttle.io_service_bytes_recursive':
        '8:0 Read 4096\n8:0 Write 10\n8:0 Sync 4106\n8:0 Total 4106\n8:16 Read 1\n8:16 Write 2\nTotal 4109\n',
    });
    const driver = driverOf(['memory', 'cpuacct', 'pids', 'blkio']);
    expect(driver.version).toBe(1);
    expect(driver.controllers).toEqual(['memory', 'cpuacct', 'pids', 'blkio']);
    expect(driver.readUsage(path)).toEqual({
      cpuUserMs: 20.5,
      cpuSystemMs: 8,
      memoryPeakBytes: 9216000,
      pidsPeak: 3,
      oomKills: 2,
      ioReadBytes: 4097,
      ioWriteBytes: 12,
    });
  });

  test('falls back to coarser files', () => {
    writeFiles(`${root}/cpuacct${path}`, { 'cpuacct.stat': 'user 2\nsystem 1\n' });
    writeFiles(`${root}/blkio${path}`, { 'blkio.throttle.io_service_bytes': '8:0 Read 5\n' });
    const usage = driverOf(['cpuacct', 'blkio']).readUsage(path);
    expect(usage).toMatchObject({ cpuUserMs: 20, cpuSystemMs: 10, ioReadBytes: 5 });
    expect(usage).toMatchObject({ memoryPeakBytes: null, oomKills: null, pidsPeak: null });
  });

  test('lists processes from the hierarchy that always has them', () => {
    writeFiles(`${root}/memory${path}`, { 'cgroup.procs': '11\n' });
    writeFiles(`${root}/pids${path}`, { 'cgroup.procs': '11\n12\n' });
    expect(driverOf(['memory', 'pids']).listProcesses(path)).toEqual([11, 12]);
    expect(driverOf(['memory']).listProcesses(path)).toEqual([11]);
    expect(driverOf([]).listProcesses(path)).toEqual([]);
  });
});

describe('which cgroups may be touched', () => {
  test.each(['/stackshim-a', '/stackshim-a1/task', '/stackshim-a/x.y_z-1/b', '/stackshim-a/..b'])(
    'takes %j',
    (good) => {
      expect(cgroupDirectory('/r', good)).toBe(`/r${good}`);
    },
  );

  test.each([
    '',
    '/',
    '/stackshim',
    '/system.slice',
    'stackshim-a/b',
    '/stackshim-a/..',
    '/stackshim-a/../b',
    '/stackshim-a/./b',
    '/stackshim-a//b',
    '/stackshim-a/',
    '/stackshim-a/b c',
    '/stackshim-a\n',
    '/x/stackshim-a/b',
  ])('refuses %j in every call', (bad) => {
    const driver = cgroupV2({ root });
    const refused = expect.objectContaining({ code: 'ERR_STACKSHIM_INTERNAL' });
    for (const call of ['readUsage', 'listProcesses', 'existing', 'remove'] as const) {
      expect(() => driver[call](bad)).toThrow(refused);
    }
  });
});

describe('the driver that fits the host', () => {
  const hybrid = [
    '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755',
    '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct',
    '33 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory,clone_children',
    '34 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd',
    '35 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate',
    '36 31 0:32 / /srv/c1/sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
    '37 31 0:32 / /sys/fs/cgroup/again rw - cgroup cgroup rw,memory',
  ].join('\n');

  test('takes each hierarchy of a hybrid host once, the named and the unified one too', () => {
    expect(hierarchiesOf(parseMountinfo(hybrid))).toEqual([
      { mountPoint: '/sys/fs/cgroup/cpu,cpuacct', controllers: ['cpu', 'cpuacct'] },
      { mountPoint: '/sys/fs/cgroup/memory', controllers: ['memory'] },
      { mountPoint: '/sys/fs/cgroup/systemd', controllers: [] },
      { mountPoint: '/sys/fs/cgroup/unified', controllers: [] },
    ]);
    const driver = openCgroupDriver(parseMountinfo(hybrid));
    expect(driver.version).toBe(1);
    expect(driver.controllers).toEqual(['cpu', 'cpuacct', 'memory']);
  });

  test('takes v2 where it is mounted alone', () => {
    const unified = '31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate';
    expect(openCgroupDriver(parseMountinfo(unified)).version).toBe(2);
  });

  test('refuses a host without cgroups', () => {
    const refused = expect.objectContaining({ code: 'ERR_STACKSHIM_HOST_UNSUPPORTED' });
    expect(() => openCgroupDriver([])).toThrow(refused);
    const onlyNamed = hybrid.split('\n').filter((line) => /tmpfs|systemd|unified/.test(line));
    expect(() => openCgroupDriver(parseMountinfo(onlyNamed.join('\n')))).toThrow(refused);
  });
});
