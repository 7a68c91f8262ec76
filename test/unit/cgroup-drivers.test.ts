/** Both cgroup drivers on folders with text files in place of the kernel's. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cgroupDirectory } from '../../src/cgroup/cgroup-names.ts';
import { cgroupV1 } from '../../src/cgroup/cgroup-v1.ts';
import { cgroupV2 } from '../../src/cgroup/cgroup-v2.ts';
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
  test('reads what a running task uses, and changes its limits', async () => {
    writeFiles(root + path, {
      'cpu.stat': 'usage_usec 28500\nuser_usec 20500\n',
      'memory.current': '9216000\n',
      'memory.stat': 'anon 1\nfile 2\nkernel 3\ninactive_file 216000\nactive_file 4\n',
      'memory.max': '67108864\n',
      'memory.peak': '10000000\n',
      'pids.current': '3\n',
      'pids.max': 'max\n',
      'pids.peak': '5\n',
      'io.stat': '8:0 rbytes=4096 wbytes=10 rios=1\n8:16 rbytes=1 wbytes=2\n',
      'memory.events': 'low 0\noom 3\noom_kill 2\n',
      'cgroup.freeze': '1\n',
      'cgroup.events': 'populated 1\nfrozen 1\n',
      'cpu.max': 'max 100000\n',
    });
    const driver = cgroupV2(root);
    const live = await driver.openLive();
    expect(live.readUsage(path)).toEqual({
      cpuMs: 28.5,
      memoryBytes: 9_000_000,
      memoryLimitBytes: 67_108_864,
      memoryPeakBytes: 10_000_000,
      pids: 3,
      pidsLimit: Number.POSITIVE_INFINITY,
      pidsPeak: 5,
      ioReadBytes: 4097,
      ioWriteBytes: 12,
      oomKills: 2,
      isFrozen: true,
    });
    expect(driver.isFrozen(path)).toBe(true);
    expect(await live.freeze(path)).toBe('frozen');
    driver.thaw(path);
    expect(driver.isFrozen(path)).toBe(false);
    const read = (file: string) => readFileSync(`${root}${path}/${file}`, 'utf8').trim();
    await live.setLimits(path, { memoryBytes: 16_777_216, cpus: 0.5, pids: 20 });
    expect(read('memory.max')).toMatch(/^16777216/);
    expect(read('pids.max')).toMatch(/^20/);
    expect(read('cpu.max')).toMatch(/^50000 100000/);
    const refused = live.setLimits(path, { memoryBytes: 8_388_608, pids: 7 });
    await expect(refused).rejects.toMatchObject({ code: 'EBUSY' });
    expect(read('memory.max')).toMatch(/^16777216/);
    expect(read('pids.max')).toMatch(/^20/);
  });

  test('reads every counter', () => {
    writeFiles(root, { 'cgroup.controllers': 'cpu io memory pids\n' });
    writeFiles(root + path, {
      'memory.peak': '9216000\n',
      'memory.events': 'low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n',
      'cpu.stat':
        'usage_usec 28500\nuser_usec 20500\nsystem_usec 8000\nnr_periods 4\nnr_throttled 2\nthrottled_usec 3500\n',
      'cpu.pressure':
        'some avg10=1.53 avg60=0.87 avg300=0.20 total=41500\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9000\n',
      'memory.pressure':
        'some avg10=0.00 avg60=0.00 avg300=0.00 total=250\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=200\n',
      'io.pressure':
        'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n',
      'pids.peak': '3\n',
      'io.stat':
        '8:0 rbytes=4096 wbytes=10 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2\n',
    });
    const driver = cgroupV2(root);
    expect(driver.version).toBe(2);
    expect(driver.controllers).toEqual(['cpu', 'io', 'memory', 'pids']);
    expect(driver.readUsage(path)).toEqual({
      cpuUserMs: 20.5,
      cpuSystemMs: 8,
      cpuThrottledMs: 3.5,
      memoryPeakBytes: 9216000,
      socketPeakBytes: null,
      pidsPeak: 3,
      oomKills: 2,
      oomGroupKills: 1,
      ioReadBytes: 4097,
      ioWriteBytes: 12,
      cpuPressureMs: 41.5,
      memoryPressureMs: 0.25,
      ioPressureMs: 0,
    });
    expect(driver.readCpuMs(path)).toBe(28.5);
    expect(driver.readOomKills(path)).toBe(2);
  });

  test('reports a counter without a file as null, never as 0', () => {
    writeFiles(root + path, { 'cpu.stat': 'usage_usec 5\n', 'memory.peak': 'max\n' });
    const none = { cpuUserMs: null, cpuSystemMs: null, memoryPeakBytes: null, pidsPeak: null };
    const driver = cgroupV2(root);
    expect(driver.controllers).toEqual([]);
    expect(driver.readUsage(path)).toEqual({
      ...none,
      socketPeakBytes: null,
      cpuThrottledMs: null,
      oomKills: null,
      oomGroupKills: null,
      ioReadBytes: null,
      ioWriteBytes: null,
      cpuPressureMs: null,
      memoryPressureMs: null,
      ioPressureMs: null,
    });
    expect(driver.readOomKills(path)).toBeNull();
    expect(driver.readCpuMs('/stackshim-test/absent')).toBeNull();
    expect(driver.readUsage('/stackshim-test/absent')).toMatchObject(none);
  });

  test('reads the counters of the next cgroup if one was removed', () => {
    writeFiles(`${root}/stackshim-test/next`, { 'memory.peak': '1\n' });
    const driver = cgroupV2(root);
    expect(driver.readUsage('/stackshim-test/gone').memoryPeakBytes).toBeNull();
    expect(driver.readUsage('/stackshim-test/next').memoryPeakBytes).toBe(1);
  });

  test('lists processes of nested cgroups', () => {
    writeFiles(root + path, { 'cgroup.procs': '11\n12\n' });
    writeFiles(`${root}${path}/child`, { 'cgroup.procs': '13\n' });
    expect(cgroupV2(root).listProcesses(path)).toEqual([11, 12, 13]);
    expect(cgroupV2(root).listProcesses('/stackshim-test/absent')).toEqual([]);
  });

  test('leaves out pids of other pid namespaces', () => {
    writeFiles(root + path, { 'cgroup.procs': '0\n11\n-1\nx\n 12\n99999999999999999999\n' });
    expect(cgroupV2(root).listProcesses(path)).toEqual([11]);
  });
});

describe('cgroup v1', () => {
  const driverOf = (controllers: readonly string[]) =>
    cgroupV1(
      controllers.map((controller) => ({
        mountPoint: `${root}/${controller}`,
        controllers: [controller],
      })),
    );

  test('reads every counter', () => {
    writeFiles(`${root}/memory${path}`, {
      'memory.max_usage_in_bytes': '9216000\n',
      'memory.kmem.tcp.max_usage_in_bytes': '40960\n',
      'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n',
    });
    writeFiles(`${root}/cpuacct${path}`, {
      'cpuacct.usage': '28500000\n',
      'cpuacct.usage_user': '20500000\n',
      'cpuacct.usage_sys': '8000000\n',
    });
    writeFiles(`${root}/cpu${path}`, {
      'cpu.stat': 'nr_periods 4\nnr_throttled 2\nthrottled_time 3500000\n',
    });
    writeFiles(`${root}/pids${path}`, { 'pids.peak': '3\n' });
    writeFiles(`${root}/blkio${path}`, {
      'blkio.throttle.io_service_bytes_recursive':
        '8:0 Read 4096\n8:0 Write 10\n8:0 Sync 4106\n8:0 Total 4106\n8:16 Read 1\n8:16 Write 2\nTotal 4109\n',
    });
    const driver = driverOf(['memory', 'cpu', 'cpuacct', 'pids', 'blkio']);
    expect(driver.version).toBe(1);
    expect(driver.controllers).toEqual(['memory', 'cpu', 'cpuacct', 'pids', 'blkio']);
    expect(driver.readUsage(path)).toEqual({
      cpuUserMs: 20.5,
      cpuSystemMs: 8,
      cpuThrottledMs: 3.5,
      memoryPeakBytes: 9216000,
      socketPeakBytes: 40960,
      pidsPeak: 3,
      oomKills: 2,
      oomGroupKills: null,
      ioReadBytes: 4097,
      ioWriteBytes: 12,
      cpuPressureMs: null,
      memoryPressureMs: null,
      ioPressureMs: null,
    });
    expect(driver.readCpuMs(path)).toBe(28.5);
    expect(driver.readOomKills(path)).toBe(2);
  });

  test('limits sockets if the kernel counts them separately', () => {
    const file = 'memory.kmem.tcp.limit_in_bytes';
    const directory = `${root}/memory${path}`;
    const driver = driverOf(['memory']);
    writeFiles(directory, { [file]: '9223372036854771712\n' });
    driver.limitSockets(path, 4096);
    expect(readFileSync(`${directory}/${file}`, 'utf8')).toMatch(/^4096/);
    rmSync(`${directory}/${file}`);
    driver.limitSockets(path, 4096);
    expect(existsSync(`${directory}/${file}`)).toBe(false);
    mkdirSync(`${directory}/${file}`);
    expect(() => driver.limitSockets(path, 4096)).toThrow('EISDIR');
    expect(() => driverOf(['cpu']).limitSockets(path, 4096)).not.toThrow();
  });

  test('uses coarser files if others are missing', () => {
    writeFiles(`${root}/cpuacct${path}`, { 'cpuacct.stat': 'user 2\nsystem 1\n' });
    writeFiles(`${root}/blkio${path}`, { 'blkio.throttle.io_service_bytes': '8:0 Read 5\n' });
    const usage = driverOf(['cpuacct', 'blkio']).readUsage(path);
    expect(usage).toMatchObject({ cpuUserMs: 20, cpuSystemMs: 10, ioReadBytes: 5 });
    expect(usage).toMatchObject({ memoryPeakBytes: null, oomKills: null, pidsPeak: null });
  });

  test('reports no bytes read or written if the kernel does not count disk use', () => {
    writeFiles(`${root}/blkio${path}`, {
      'blkio.throttle.io_service_bytes_recursive': 'Total 0\n',
    });
    const usage = driverOf(['blkio']).readUsage(path);
    expect(usage).toMatchObject({ ioReadBytes: null, ioWriteBytes: null });
  });

  test('lists processes from the hierarchy that always contains them', () => {
    writeFiles(`${root}/memory${path}`, { 'cgroup.procs': '11\n' });
    writeFiles(`${root}/pids${path}`, { 'cgroup.procs': '11\n12\n' });
    expect(driverOf(['memory', 'pids']).listProcesses(path)).toEqual([11, 12]);
    expect(driverOf(['memory']).listProcesses(path)).toEqual([11]);
    expect(driverOf([]).listProcesses(path)).toEqual([]);
  });
});

describe("a tenant's cgroup", () => {
  const group = '/stackshim-test/tenant-acme';
  const share = { weight: 200, cpus: 1.5, memoryBytes: 1_048_576 };
  const none = { weight: 100, cpus: null, memoryBytes: null };
  const read = (file: string) => readFileSync(`${root}/${file}`, 'utf8');

  test('on v1 sets shares, quota, memory and swap, and the weight of disks', async () => {
    const driver = cgroupV1(
      ['cpu', 'memory', 'blkio'].map((name) => ({
        mountPoint: `${root}/${name}`,
        controllers: [name],
      })),
    );
    writeFiles(`${root}/memory${group}`, {
      'memory.limit_in_bytes': '',
      'memory.memsw.limit_in_bytes': '',
    });
    writeFiles(`${root}/blkio${group}`, { 'blkio.bfq.weight': '100' });
    await driver.shareGroup(group, share);
    expect(read(`cpu${group}/cpu.shares`)).toBe('2048');
    expect(read(`cpu${group}/cpu.cfs_quota_us`)).toBe('150000');
    expect(read(`memory${group}/memory.limit_in_bytes`)).toBe('1048576');
    expect(read(`memory${group}/memory.memsw.limit_in_bytes`)).toBe('1048576');
    expect(read(`blkio${group}/blkio.bfq.weight`)).toBe('200');
    await driver.shareGroup(group, { ...none, weight: 10_000 });
    expect(read(`blkio${group}/blkio.bfq.weight`)).toBe('1000');
    await driver.shareGroup(group, none);
    expect(read(`cpu${group}/cpu.shares`)).toBe('1024');
    expect(read(`cpu${group}/cpu.cfs_quota_us`)).toBe('-1');
    expect(read(`memory${group}/memory.limit_in_bytes`)).toBe('-1');
  });

  test('on v2 enables the controllers for its children and sets the same limits', async () => {
    writeFiles(root, { 'cgroup.controllers': 'cpuset cpu io memory pids\n' });
    writeFiles(root + group, { 'io.weight': '', 'memory.swap.max': '' });
    const driver = cgroupV2(root);
    await driver.shareGroup(group, share);
    for (const parent of ['.', 'stackshim-test']) {
      expect(read(`${parent}/cgroup.subtree_control`)).toBe('+pids');
    }
    expect(read(`${group}/cpu.weight`)).toBe('200');
    expect(read(`${group}/cpu.max`)).toBe('150000 100000');
    expect(read(`${group}/memory.max`)).toBe('1048576');
    expect(read(`${group}/memory.swap.max`)).toBe('0');
    expect(read(`${group}/io.weight`)).toBe('200');
    await driver.shareGroup(group, none);
    expect(read(`${group}/cpu.max`)).toBe('max 100000');
    expect(read(`${group}/memory.max`)).toBe('max');
    expect(driver.children('/stackshim-test')).toEqual(['tenant-acme']);
    expect(driver.children('/stackshim-absent')).toEqual([]);
  });
});

test('v2 kills a cgroup through cgroup.kill', async () => {
  writeFiles(root + path, { 'cgroup.kill': '' });
  await cgroupV2(root).killProcesses(path);
  expect(readFileSync(`${root}${path}/cgroup.kill`, 'utf8')).toBe('1');
});

describe('a cgroup path', () => {
  test.each(['/stackshim-a', '/stackshim-a1/task', '/stackshim-a/x.y_z-1/b', '/stackshim-a/..b'])(
    'is accepted: %j',
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
  ])('is refused in every call: %j', (bad) => {
    const driver = cgroupV2(root);
    const refused = expect.objectContaining({ code: 'ERR_STACKSHIM_INTERNAL' });
    const calls = [
      'readUsage',
      'readCpuMs',
      'readOomKills',
      'listProcesses',
      'children',
      'existing',
      'remove',
    ] as const;
    for (const call of calls) expect(() => driver[call](bad)).toThrow(refused);
  });
});

describe('the driver of the host', () => {
  const hybrid = [
    '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755',
    '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct',
    '33 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory,clone_children',
    '34 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd',
    '35 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate',
    '36 31 0:32 / /srv/c1/sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
    '37 31 0:32 / /sys/fs/cgroup/again rw - cgroup cgroup rw,memory',
  ].join('\n');

  test('uses each hierarchy of a hybrid host once, the named and the unified ones too', () => {
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

  test('uses v2 if it is the only version', () => {
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
