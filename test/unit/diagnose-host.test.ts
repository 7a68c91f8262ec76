/** The doctor's findings on hosts that differ from this one. */
import { describe, expect, test } from 'vitest';
import type { CgroupDriver } from '../../src/cgroup/cgroup-driver.ts';
import { required } from '../../src/doctor/check.ts';
import { checkControllers } from '../../src/doctor/check-cgroups.ts';
import {
  checkCorePattern,
  checkFilesystem,
  checkFilterPool,
  checkHardLimits,
  checkKernelVersion,
  checkOpenFiles,
  checkRoot,
  checkSeccomp,
  checkUserNamespaces,
} from '../../src/doctor/check-kernel.ts';
import { checkTools, judgeRuntime } from '../../src/doctor/check-programs.ts';
import { checkSocketQueues } from '../../src/doctor/check-sockets.ts';
import { judgeStacks } from '../../src/doctor/check-stacks.ts';
import { judgeFreeSpace } from '../../src/doctor/check-storage.ts';
import { nearestExisting } from '../../src/sys/files.ts';
import type { HostFacts } from '../../src/sys/host-facts.ts';
import { stackName } from '../support/stacks/stack-store.ts';

const facts: HostFacts = {
  architecture: 'amd64',
  thermalPaths: [],
  boundsGroups: true,
  kernelRelease: '6.12.48+deb13-amd64',
  kernelVersion: [6, 12],
  memoryBytes: 1e9,
  cpus: 2,
  hardLimits: { RLIMIT_NOFILE: 524_288 },
  canRaiseLimits: true,
  oomScoreAdj: 0,
  isRoot: true,
  bootId: 'b',
};

test('the memory that sockets may hold unnoticed depends on three settings', () => {
  const usual = { receiveMax: '212992\n', allowsStamps: '0\n', hasDiagnosis: true };
  expect(checkSocketQueues(usual, facts)).toMatchObject({ status: 'ok', required: false });
  const large = checkSocketQueues({ ...usual, receiveMax: '4194304\n' }, facts);
  expect(large).toMatchObject({ status: 'warn', required: false });
  expect(large.message).toContain('8 MiB');
  expect(checkSocketQueues({ ...usual, hasDiagnosis: false }, facts)).toMatchObject({
    status: 'warn',
    hint: expect.stringContaining('CONFIG_INET_DIAG'),
  });
  const allowed = { ...usual, allowsStamps: '1\n' };
  expect(checkSocketQueues(allowed, facts)).toMatchObject({
    status: 'warn',
    hint: expect.stringContaining('net.core.tstamp_allow_data'),
  });
  const newer = { ...facts, kernelRelease: '6.18.1', kernelVersion: [6, 18] as const };
  expect(checkSocketQueues(allowed, newer).status).toBe('ok');
});

test('root and the kernel version are required', () => {
  expect(checkRoot(facts)).toMatchObject({ status: 'ok', required: true });
  expect(checkRoot({ ...facts, isRoot: false })).toMatchObject({ status: 'fail', required: true });
  expect(checkKernelVersion(facts).status).toBe('ok');
  const old = { ...facts, kernelRelease: '5.10.0-30-amd64', kernelVersion: [5, 10] as const };
  expect(checkKernelVersion(old)).toMatchObject({
    status: 'fail',
    required: true,
    message: 'Linux 5.10.0-30-amd64 on amd64: older than 5.19',
  });
});

test('a filesystem can be built in, a module, or missing', () => {
  const builtIn = 'nodev\tsysfs\nnodev\toverlay\n\text4\n\terofs\n';
  const modules = 'kernel/fs/erofs/erofs.ko.xz: kernel/lib/lz4.ko.xz\n';
  expect(checkFilesystem('overlay', builtIn, '').status).toBe('ok');
  expect(checkFilesystem('erofs', builtIn, '').status).toBe('ok');
  expect(checkFilesystem('erofs', 'nodev\tsysfs\n', modules).status).toBe('ok');
  expect(checkFilesystem('overlay', 'nodev\tnotoverlay\n', modules)).toMatchObject({
    status: 'fail',
    required: true,
  });
});

test('user namespaces and seccomp must be available and enabled', () => {
  expect(checkUserNamespaces('96365\n').status).toBe('ok');
  expect(checkUserNamespaces('0\n').status).toBe('fail');
  expect(checkUserNamespaces(undefined).status).toBe('fail');
  expect(checkSeccomp('kill_process kill_thread errno log allow\n').status).toBe('ok');
  expect(checkSeccomp('kill_thread log allow\n').status).toBe('fail');
  expect(checkSeccomp(undefined).status).toBe('fail');
});

test('hard limits only give warnings', () => {
  expect(checkHardLimits(facts).status).toBe('ok');
  const kept = { ...facts, canRaiseLimits: false };
  expect(checkHardLimits(kept)).toMatchObject({ status: 'warn', required: false });
  const few = { ...facts, hardLimits: { RLIMIT_NOFILE: 1024 } };
  expect(checkHardLimits(few)).toMatchObject({ status: 'warn', required: false });
});

test('a small pool for filters gives a warning', () => {
  const pool = (limit?: string, enabled = '1\n') => checkFilterPool(enabled, limit);
  expect(pool('264241152\n')).toMatchObject({ status: 'ok', required: false });
  expect(pool('264241152\n').message).toContain('252 MiB');
  expect(pool('8388608\n')).toMatchObject({ status: 'warn', required: false });
  expect(pool('8388608\n', '0\n').status).toBe('ok');
  expect(pool().status).toBe('ok');
});

test('fewer open files than memory allows give a warning', () => {
  const memoryBytes = 192 * 1000;
  expect(checkOpenFiles('1000\n', memoryBytes)).toMatchObject({ status: 'ok', required: false });
  const few = checkOpenFiles('999\n', memoryBytes);
  expect(few).toMatchObject({ status: 'warn', required: false });
  expect(few.hint).toContain('1000');
  expect(checkOpenFiles(undefined, memoryBytes).status).toBe('ok');
});

test('a core pattern that starts a program gives a warning', () => {
  expect(checkCorePattern('core\n').status).toBe('ok');
  expect(checkCorePattern(undefined).status).toBe('ok');
  const piped = checkCorePattern('|/usr/lib/systemd/systemd-coredump %P %u\n');
  expect(piped).toMatchObject({ status: 'warn', required: false });
  expect(piped.message).toContain('/usr/lib/systemd/systemd-coredump on');
});

describe('cgroup controllers', () => {
  const driver = (version: 1 | 2, controllers: readonly string[]): CgroupDriver => ({
    version,
    controllers,
    readUsage: () => {
      throw new Error('not asked for');
    },
    limitSockets: () => undefined,
    readSocketBytes: () => null,
    readCpuMs: () => null,
    readOomKills: () => null,
    listProcesses: () => [],
    killProcesses: () => Promise.resolve(),
    isFrozen: () => false,
    thaw: () => undefined,
    openLive: () => Promise.reject(new Error('not used')),
    shareGroup: () => Promise.resolve(),
    children: () => [],
    existing: () => [],
    remove: () => Promise.resolve([]),
  });

  test.each([
    [1, ['cpu', 'cpuacct', 'memory', 'blkio', 'pids'], 'ok'],
    [1, ['cpu', 'memory', 'pids'], 'warn'],
    [1, ['cpu', 'cpuacct', 'memory', 'blkio'], 'fail'],
    [2, ['cpu', 'io', 'memory', 'pids'], 'ok'],
    [2, ['cpu', 'memory', 'pids'], 'warn'],
    [2, ['cpu', 'pids'], 'fail'],
    [2, [], 'fail'],
  ] as const)('v%i with %j: %s', (version, controllers, status) => {
    expect(checkControllers(driver(version, controllers))).toMatchObject({
      status,
      required: true,
    });
  });
});

test('a vulnerable runtime, and crun on a hybrid host, give warnings', () => {
  const subject = required('runtime runc');
  const runc = { kind: 'runc', path: '/usr/sbin/runc', version: '1.1.15+ds1' } as const;
  expect(judgeRuntime(runc, subject, true)).toMatchObject({
    status: 'warn',
    message: expect.stringContaining('CVE-2025-31133'),
  });
  const patched = { ...runc, version: '1.3.6+ds1' };
  expect(judgeRuntime(patched, subject, true).status).toBe('ok');
  const crun = { kind: 'crun', path: '/usr/bin/crun', version: '1.21' } as const;
  expect(judgeRuntime(crun, subject, true).status).toBe('warn');
  expect(judgeRuntime(crun, subject, false).status).toBe('ok');
});

test('each tool is looked up by its own name', async () => {
  expect((await checkTools()).map(({ name }) => name)).toEqual([
    'mkfs.erofs',
    'buildah',
    'mmdebstrap',
    'perl',
  ]);
});

test('the check of free space fails, warns or passes', () => {
  const mib = 1024 * 1024;
  expect(judgeFreeSpace('/r', 99 * mib)).toMatchObject({ status: 'fail', required: true });
  expect(judgeFreeSpace('/r', 100 * mib).status).toBe('warn');
  expect(judgeFreeSpace('/r', 2047 * mib).status).toBe('warn');
  expect(judgeFreeSpace('/r', 2048 * mib)).toMatchObject({
    status: 'ok',
    message: '2048 MiB free for /r',
  });
});

test('the nearest existing folder is found', () => {
  expect(nearestExisting('/nowhere/at/all')).toBe('/');
  expect(nearestExisting('/proc/none')).toBe('/proc');
  expect(nearestExisting('/')).toBe('/');
});

test('stacks without security fixes, and stacks behind their base, are named', () => {
  const now = new Date('2026-09-01T00:00:00Z');
  const sound = { name: stackName('a'), eol: '2026-09-01', behind: null };
  expect(judgeStacks([sound], now)).toEqual({
    name: 'stacks',
    required: false,
    status: 'ok',
    message: '1, all of them up to date',
  });
  const ended = { name: stackName('b'), eol: '2026-08-31', behind: null };
  expect(judgeStacks([sound, ended], now)).toMatchObject({
    status: 'warn',
    message: 'no more fixes for b',
    hint: 'move their tasks to a newer stack',
  });
  const behind = { name: stackName('c'), eol: null, behind: stackName('debian-13') };
  expect(judgeStacks([ended, behind], now)).toMatchObject({
    message: 'no more fixes for b; behind their base: c',
    hint: 'move their tasks to a newer stack; run stackshim stack update --all',
  });
  const many = Array.from({ length: 12 }, (_, index) => ({
    ...ended,
    name: stackName(`s${index}`),
  }));
  expect(judgeStacks(many, now).message).toMatch(/^no more fixes for s0, .*, s9 and 2 more$/);
});
