/** What the policy and the host allow a task to have. */
import { describe, expect, test } from 'vitest';
import { admitTaskSpec, type HostLimits } from '../../src/spec/admit-task-spec.ts';
import { parsePolicy } from '../../src/spec/parse-policy.ts';
import { requireAllowed, requireAllowedPath } from '../../src/spec/policy.ts';
import { parseTaskSpec } from '../support/parse-task-spec.ts';

const host: HostLimits = {
  memoryBytes: 2_147_483_648,
  cpus: 2,
  hardLimits: { RLIMIT_NOFILE: 20_000, RLIMIT_NPROC: Number.POSITIVE_INFINITY },
  canRaiseLimits: false,
};

function admit(input: object, policy: object = {}, on: HostLimits = host) {
  return admitTaskSpec(parseTaskSpec({ stack: 's', ...input }), parsePolicy(policy), on);
}

const denied = (field: string, asked: unknown, allowed: unknown) =>
  expect.objectContaining({
    code: 'ERR_STACKSHIM_SPEC_DENIED',
    kind: 'denied',
    details: { field, asked, allowed },
  });

describe('limits', () => {
  test('come from the policy if the task has none', () => {
    expect(admit({}).limits).toEqual({
      memoryBytes: 536_870_912,
      cpus: 1,
      pids: 256,
      timeoutMs: 3_600_000,
      stopTimeoutMs: 10_000,
      outputBytes: 67_108_864,
      diskBytes: 1_073_741_824,
      takenBytes: 1_073_741_824,
      takenEntries: 100_000,
      buildTimeoutMs: 600_000,
      buildMemoryBytes: 2_147_483_648,
      buildDiskBytes: 2_147_483_648,
    });
    expect(admit({ memory: '64m' }, { defaults: { memory: '1g', pids: 8 } }).limits).toMatchObject({
      memoryBytes: 67_108_864,
      pids: 8,
    });
  });

  test('have defaults that never exceed what the host has', () => {
    const small = { ...host, memoryBytes: 268_435_456, cpus: 0.5 };
    expect(admit({}, {}, small).limits).toMatchObject({ memoryBytes: 268_435_456, cpus: 0.5 });
  });

  test('can be as high as the maximum or the host’s size, and no higher', () => {
    expect(admit({ memory: 2_147_483_648, cpus: 2 }).limits).toMatchObject({
      memoryBytes: 2_147_483_648,
      cpus: 2,
    });
    expect(() => admit({ memory: '3g' })).toThrow(denied('memory', 3_221_225_472, 2_147_483_648));
    expect(() => admit({ cpus: 2.5 })).toThrow(denied('cpus', 2.5, 2));
  });

  test('of a tenant apply to each of its tasks', () => {
    const policy = { tenants: { acme: { memory: '64m', cpus: 0.5, maxTasks: 3, weight: 7 } } };
    const { limits, admission } = admit({ tenant: 'acme' }, policy);
    expect(limits).toMatchObject({ memoryBytes: 67_108_864, cpus: 0.5 });
    expect(admission.terms).toEqual({ memoryBytes: 67_108_864, cpus: 0.5, maxTasks: 3, weight: 7 });
    expect(() => admit({ tenant: 'acme', memory: '65m' }, policy)).toThrow(
      denied('memory', 68_157_440, 67_108_864),
    );
    expect(admit({ tenant: 'other' }, policy).admission.terms).toEqual({ weight: 100 });
    expect(admit({ tenant: 'other' }, policy).limits.memoryBytes).toBe(536_870_912);
    expect(admit({}, policy).admission).toEqual({ reserves: {} });
    expect(admit({}, { slots: 5, reserves: { disk: 1 } }).admission).toEqual({
      slots: 5,
      reserves: { diskBytes: 1 },
    });
  });

  test('on disks: the maxima always apply, the defaults only if the task has none', () => {
    const policy = {
      defaults: { deviceReadBps: ['/dev/a:10', '/dev/b:10'] },
      maxima: { deviceReadBps: ['/dev/a:20'] },
    };
    const readBps = (path: string, perSecond: number) => ({ kind: 'readBps', path, perSecond });
    expect(admit({}, policy).throttles).toEqual([
      readBps('/dev/a', 10),
      readBps('/dev/b', 10),
      readBps('/dev/a', 20),
    ]);
    expect(admit({ deviceReadBps: ['/dev/a:20'] }, policy).throttles).toEqual([
      readBps('/dev/a', 20),
      readBps('/dev/b', 10),
      readBps('/dev/a', 20),
    ]);
    expect(() => admit({ deviceReadBps: ['/dev/a:21'] }, policy)).toThrow(
      denied('deviceReadBps', '/dev/a:21', 20),
    );
    expect(admit({ deviceWriteBps: ['/dev/a:21'] }, policy).throttles).toHaveLength(4);
  });

  test.each([
    ['memory', { memory: '65m' }, { memory: '64m' }, [68_157_440, 67_108_864]],
    ['cpus', { cpus: 1.5 }, { cpus: 1 }, [1.5, 1]],
    ['pidsLimit', { pidsLimit: 65 }, { pids: 64 }, [65, 64]],
    ['timeout', { timeout: '11m' }, { timeout: '10m' }, [660_000, 600_000]],
    ['disk', { disk: '3m' }, { disk: '2m' }, [3_145_728, 2_097_152]],
    ['outputLimit', { outputLimit: '2k' }, { output: '1k' }, [2048, 1024]],
    ['cpuTime', { cpuTime: '31s' }, { cpuTime: '30s' }, [31_000, 30_000]],
    ['cpuShares', { cpuShares: 1025 }, { cpuShares: 1024 }, [1025, 1024]],
    ['stopTimeout', { stopTimeout: '11s' }, { stopTimeout: '10s' }, [11_000, 10_000]],
  ])('above the policy’s maximum are denied: %s', (field, input, maxima, [asked, allowed]) => {
    expect(() => admit(input, { maxima })).toThrow(denied(field, asked, allowed));
  });
});

describe('ulimits', () => {
  test('above the host’s hard limit are denied if stackshim cannot raise them', () => {
    expect(admit({ ulimits: ['nofile=20000', 'nproc=-1', 'core=-1'] }).ulimits).toHaveLength(3);
    expect(() => admit({ ulimits: ['nofile=1024:20001'] })).toThrow(
      denied('ulimits', 'nofile=20001', 20_000),
    );
    expect(() => admit({ ulimits: ['nofile=-1'] })).toThrow(denied('ulimits', 'nofile=-1', 20_000));
  });

  test('above the host’s hard limit are allowed if stackshim can raise them', () => {
    const able = { ...host, canRaiseLimits: true };
    expect(admit({ ulimits: ['nofile=1048576'] }, {}, able).ulimits).toHaveLength(1);
  });

  test.each([
    ['rtprio=1', 'rtprio=1', 0],
    ['nice=20', 'nice=20', 0],
    ['memlock=-1', 'memlock=-1', 67_108_864],
    ['msgqueue=819201', 'msgqueue=819201', 819_200],
    ['sigpending=65537', 'sigpending=65537', 65_536],
    ['nofile=1024:1048577', 'nofile=1048577', 1_048_576],
  ])('of %s are denied unless the policy allows them', (ulimit, asked, most) => {
    const able = { ...host, canRaiseLimits: true };
    expect(() => admit({ ulimits: [ulimit] }, {}, able)).toThrow(denied('ulimits', asked, most));
    const { ulimits } = admit({ ulimits: [ulimit] }, { maxima: { ulimits: [ulimit] } }, able);
    expect(ulimits).toHaveLength(1);
  });

  test('have the maxima of the policy', () => {
    const policy = { maxima: { ulimits: ['nofile=4096', 'core=0'] } };
    expect(admit({ ulimits: ['nofile=4096', 'core=0'] }, policy).ulimits).toHaveLength(2);
    expect(() => admit({ ulimits: ['core=-1'] }, policy)).toThrow(denied('ulimits', 'core=-1', 0));
  });
});

describe('permissions', () => {
  test('of a local root without a policy file are those that docker gives', () => {
    const input = {
      volumes: ['/etc:/x:ro'],
      network: 'host',
      userns: 'host',
      capAdd: ['SYS_ADMIN'],
      securityOpt: ['seccomp=unconfined', 'no-new-privileges=false'],
      runtime: 'crun',
      bundle: 'default',
    };
    expect(admit(input)).toMatchObject({ network: 'host', userns: 'host' });
  });

  test.each<[string, object, object, [string, string | string[]]]>([
    ['runtime', { runtime: '/opt/runc' }, {}, ['/opt/runc', ['runc', 'crun', 'runsc']]],
    ['runtime', { runtime: 'crun' }, { runtimes: ['runc'] }, ['crun', ['runc']]],
    ['bundle', { bundle: 'fuse' }, {}, ['fuse', ['default']]],
    ['bundle', { bundle: 'default' }, { bundles: [] }, ['default', []]],
    ['network', { network: 'host' }, { networks: ['none'] }, ['host', ['none']]],
    ['userns', { userns: 'host' }, { userns: ['auto'] }, ['host', ['auto']]],
    ['pid', { pid: 'host', userns: 'host' }, {}, ['host', ['private']]],
    ['mounts', { volumes: ['/srvx:/x'] }, { bindSources: ['/srv'] }, ['/srvx', ['/srv']]],
    ['mounts', { volumes: ['/srv/../etc:/x'] }, { bindSources: ['/srv'] }, ['/etc', ['/srv']]],
    ['mounts', { volumes: ['/srv:/x'] }, { bindSources: [] }, ['/srv', []]],
    ['devices', { devices: ['/dev/fuse'] }, {}, ['/dev/fuse', []]],
    [
      'devices',
      { devices: ['/dev/dri/../kvm'] },
      { devices: ['/dev/dri'] },
      ['/dev/kvm', ['/dev/dri']],
    ],
    [
      'capAdd',
      { capAdd: ['SYS_ADMIN'] },
      { capAdd: ['NET_RAW'] },
      ['CAP_SYS_ADMIN', ['CAP_NET_RAW']],
    ],
    ['capAdd', { capAdd: ['ALL'] }, { capAdd: ['NET_RAW'] }, ['ALL', ['CAP_NET_RAW']]],
    ['securityOpt', { securityOpt: ['seccomp=/p'] }, { seccomp: ['bundle'] }, ['file', ['bundle']]],
    [
      'securityOpt',
      { securityOpt: ['seccomp=unconfined'] },
      { seccomp: ['bundle', 'file'] },
      ['unconfined', ['bundle', 'file']],
    ],
    [
      'securityOpt',
      { securityOpt: ['no-new-privileges=false'] },
      { newPrivileges: false },
      ['no-new-privileges=false', 'no-new-privileges=true'],
    ],
  ])('%s %j under %j is denied', (field, input, allow, [asked, allowed]) => {
    expect(() => admit(input, { allow })).toThrow(denied(field, asked, allowed));
  });

  test('that are named allow what they say', () => {
    const allow = { bindSources: ['/srv'], capAdd: ['NET_RAW'], runtimes: ['/opt/runc'] };
    const input = { volumes: ['/srv/a:/x', '/srv:/y'], capAdd: ['NET_RAW'], runtime: '/opt/runc' };
    expect(admit(input, { allow }).mounts).toHaveLength(2);
  });

  test('for bundles and resolved bind sources can be checked separately', () => {
    const { allow } = parsePolicy({ allow: { bindSources: ['/srv'], bundles: ['default'] } });
    requireAllowed(allow, 'bundles', 'default', 'bundle');
    requireAllowedPath(allow, 'bindSources', '/srv/x', 'mounts');
    expect(() => requireAllowed(allow, 'bundles', 'fuse', 'bundle')).toThrow(
      denied('bundle', 'fuse', ['default']),
    );
    expect(() => requireAllowedPath(allow, 'bindSources', '/etc/shadow', 'mounts')).toThrow(
      denied('mounts', '/etc/shadow', ['/srv']),
    );
  });
});
