/** The OCI configuration for each option of a task. */
import { describe, expect, test } from 'vitest';
import { buildContainerConfig } from '../../src/oci/build-config.ts';
import { buildRlimits, toConfigJson } from '../../src/oci/build-process.ts';
import { loadTemplate } from '../../src/oci/load-template.ts';
import { buildConfig } from '../support/tasks/build-config.ts';
import { testIds, toConfigInput } from '../support/tasks/oci-config-input.ts';

const build = (task: object, more = {}) => buildConfig(toConfigInput(task, more));
const types = (task: object) => build(task).linux.namespaces.map(({ type }) => type);
const at = (task: object, destination: string) =>
  build(task).mounts.find((mount) => mount.destination === destination);

describe('isolation by default', () => {
  const config = build({});

  test('has every namespace, and the slot’s ids', () => {
    expect(types({})).toEqual(['pid', 'mount', 'ipc', 'uts', 'cgroup', 'network', 'user']);
    const mapping = [{ containerID: 0, hostID: testIds.base, size: 65_536 }];
    expect(config.linux.uidMappings).toEqual(mapping);
    expect(config.linux.gidMappings).toEqual(mapping);
  });

  test('has limits without swap, and no devices', () => {
    expect(config.linux.resources).toEqual({
      devices: [{ allow: false, access: 'rwm' }],
      memory: { limit: 536_870_912, swap: 536_870_912 },
      cpu: { quota: 100_000, period: 100_000 },
      pids: { limit: 256 },
    });
  });

  test('has nine capabilities, none inheritable or ambient, and no new privileges', () => {
    const names = 'CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETGID SETPCAP SETUID';
    const held = names.split(' ').map((name) => `CAP_${name}`);
    expect(config.process.capabilities).toEqual({
      bounding: held,
      permitted: held,
      effective: held,
    });
    expect(config.process.noNewPrivileges).toBe(true);
  });

  test('spares tasks no more than other processes when memory is short', () => {
    const adjusted = (oomScoreAdj: number) => {
      const host = { architecture: 'amd64', hardLimits: {}, oomScoreAdj, thermalPaths: [] };
      return buildConfig(toConfigInput({}, { host })).process.oomScoreAdj;
    };
    expect([-900, 0, 300].map(adjusted)).toEqual([0, undefined, undefined]);
  });

  test('masks paths of the kernel or makes them read-only', () => {
    expect(config.linux.maskedPaths).toEqual(
      expect.arrayContaining(['/proc/kcore', '/proc/keys', '/proc/interrupts', '/sys/firmware']),
    );
    expect(config.linux.readonlyPaths).toEqual(
      expect.arrayContaining(['/proc/sys', '/proc/sysrq-trigger']),
    );
    const host = { architecture: 'amd64', hardLimits: {}, oomScoreAdj: 0, thermalPaths: ['/hot'] };
    expect(buildConfig(toConfigInput({}, { host })).linux.maskedPaths).toContain('/hot');
  });

  test('has a native allow-list with one rule for all calls without arguments', () => {
    const { seccomp } = config.linux;
    expect(seccomp?.defaultAction).toBe('SCMP_ACT_ERRNO');
    expect(seccomp?.architectures).toEqual(['SCMP_ARCH_X86_64']);
    const plain = seccomp?.syscalls.filter(
      ({ args, action }) => !args && action === 'SCMP_ACT_ALLOW',
    );
    expect(plain).toHaveLength(1);
    const names = plain?.[0]?.names ?? [];
    expect(names).toEqual(expect.arrayContaining(['read', 'statx', 'execve', 'rseq', 'futex']));
    for (const name of [
      'mount',
      'umount2',
      'unshare',
      'setns',
      'ptrace',
      'bpf',
      'keyctl',
      'add_key',
      'userfaultfd',
      'io_uring_setup',
      'perf_event_open',
      'kexec_load',
      'init_module',
      'open_by_handle_at',
      'socket',
      'clone',
      'personality',
      'syslog',
    ]) {
      expect(names).not.toContain(name);
    }
  });

  test('sets the network namespace’s settings only if the task has its own', () => {
    const netSysctl = { 'net.core.tstamp_allow_data': '0' };
    expect(build({}, { netSysctl }).linux.sysctl).toEqual(netSysctl);
    expect(build({}, { netSysctl: {} }).linux.sysctl).toBeUndefined();
    expect(build({ network: 'host' }, { netSysctl }).linux.sysctl).toBeUndefined();
  });

  test('has a writable root, and the id as hostname', () => {
    expect(config.root).toEqual({ path: '/run/stackshim/tasks/t1/rootfs', readonly: false });
    expect(config.hostname).toBe('t1');
    expect(config.linux.cgroupsPath).toBe('/stackshim-test/t1');
  });
});

describe('options', () => {
  test('limits', () => {
    const task = { memory: '8m', cpus: 0.001 + 0.01, pidsLimit: 7 };
    expect(build(task).linux.resources).toMatchObject({
      memory: { limit: 8_388_608, swap: 8_388_608 },
      cpu: { quota: 1100, period: 100_000 },
      pids: { limit: 7 },
    });
    expect(build({ cpus: 0.01 }).linux.resources.cpu.quota).toBe(1000);
    expect(build({ cpus: 2.5 }).linux.resources.cpu.quota).toBe(250_000);
  });

  test('cpu shares and group kills, in the units of each cgroup version', () => {
    const task = { cpuShares: 512, oomGroup: true };
    const v1 = build(task, { cgroupVersion: 1 }).linux.resources;
    expect(v1.cpu).toMatchObject({ shares: 512 });
    expect(v1.unified).toBeUndefined();
    const v2 = build(task, { cgroupVersion: 2 }).linux.resources;
    expect(v2.cpu.shares).toBeUndefined();
    expect(v2.unified).toEqual({ 'memory.oom.group': '1', 'cpu.weight': '50' });
    const weights = [2, 10, 1024, 262_144].map(
      (cpuShares) =>
        build({ cpuShares }, { cgroupVersion: 2 }).linux.resources.unified?.['cpu.weight'],
    );
    expect(weights).toEqual(['1', '1', '100', '10000']);
    expect(() => build(task)).toThrow(expect.objectContaining({ code: 'ERR_STACKSHIM_INTERNAL' }));
    for (const version of [1, 2] as const) {
      const plain = build({}, { cgroupVersion: version }).linux.resources;
      expect(plain.unified).toBeUndefined();
      expect(plain.blockIO).toBeUndefined();
      expect(plain.cpu.shares).toBeUndefined();
    }
  });

  test('disk limits, by kind', () => {
    const disk = { major: 8, minor: 16 };
    const throttles = [
      { kind: 'readBps', ...disk, perSecond: 5 },
      { kind: 'writeIops', ...disk, perSecond: 6 },
    ] as const;
    expect(build({}, { throttles }).linux.resources.blockIO).toEqual({
      throttleReadBpsDevice: [{ ...disk, rate: 5 }],
      throttleWriteBpsDevice: [],
      throttleReadIOPSDevice: [],
      throttleWriteIOPSDevice: [{ ...disk, rate: 6 }],
    });
  });

  test('host namespaces', () => {
    expect(types({ network: 'host' })).not.toContain('network');
    expect(types({ userns: 'host' })).not.toContain('user');
    expect(build({ userns: 'host' }).linux.uidMappings).toBeUndefined();
    expect(at({ network: 'host', userns: 'host' }, '/sys')?.type).toBe('sysfs');
    expect(at({ network: 'host' }, '/sys')).toEqual({
      destination: '/sys',
      type: 'bind',
      source: '/sys',
      options: ['rbind', 'rprivate', 'nosuid', 'noexec', 'nodev', 'rro'],
    });
    const { mounts } = build({ network: 'host' }, { sysfs: '/run/t1/sys' });
    expect(mounts.find(({ destination }) => destination === '/sys')?.source).toBe('/run/t1/sys');
  });

  test('mounts come after the template’s, parents before children', () => {
    const task = { volumes: ['/h:/a/b/c', '/i:/z:ro'], tmpfs: ['/a:size=1m'] };
    const { mounts } = build(task);
    const base = loadTemplate('default').config.mounts.length;
    expect(mounts.slice(base).map(({ destination }) => destination)).toEqual([
      '/a',
      '/z',
      '/a/b/c',
    ]);
    expect(at(task, '/a')).toEqual({
      destination: '/a',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'nodev', 'mode=1777', 'noexec', 'size=1048576'],
    });
    expect(at({ tmpfs: ['/a:exec,mode=700'] }, '/a')?.options).toEqual([
      'nosuid',
      'nodev',
      'mode=700',
    ]);
  });

  test('binds inherit the host’s flags in a user namespace and set them outside of one', () => {
    expect(at({ volumes: ['/i:/z:ro'] }, '/z')?.options).toEqual(['rbind', 'rprivate']);
    expect(at({ volumes: ['/i:/z:ro'], userns: 'host' }, '/z')?.options).toEqual([
      'rbind',
      'rprivate',
      'nosuid',
      'nodev',
      'ro',
    ]);
    expect(at({ volumes: ['/i:/z'], userns: 'host' }, '/z')?.options).toContain('rw');
  });

  test('binds set the flags for a runtime that sets them again', () => {
    const { mounts } = build({ volumes: ['/i:/z:ro'] }, { locksBinds: false });
    expect(mounts.find(({ destination }) => destination === '/z')?.options).toEqual([
      'rbind',
      'rprivate',
      'nosuid',
      'nodev',
      'ro',
    ]);
  });

  test('a prepared /dev is bound in the place of the template’s', () => {
    const { mounts } = build({}, { dev: '/task/dev' });
    const made = { type: 'bind', source: '/task/dev', options: ['bind', 'private'] };
    expect(mounts[1]).toEqual({ destination: '/dev', ...made });
  });

  test('capabilities are combined as in docker', () => {
    const bounding = (task: object) => build(task).process.capabilities.bounding;
    expect(bounding({ capAdd: ['NET_RAW'], capDrop: ['KILL'] })).toContain('CAP_NET_RAW');
    expect(bounding({ capAdd: ['NET_RAW'], capDrop: ['KILL'] })).not.toContain('CAP_KILL');
    expect(bounding({ capDrop: ['ALL'] })).toEqual([]);
    expect(bounding({ capDrop: ['ALL'], capAdd: ['CHOWN'] })).toEqual(['CAP_CHOWN']);
    expect(bounding({ capAdd: ['ALL'] })).toHaveLength(41);
    expect(bounding({ capAdd: ['ALL'], capDrop: ['SYS_ADMIN'] })).toHaveLength(40);
  });

  test('another user than root has no effective capability', () => {
    const user = { uid: 1000, gid: 1000, additionalGids: [50] };
    const { process } = build({ capAdd: ['NET_RAW'] }, { user });
    expect(process.user).toEqual(user);
    expect(process.capabilities.bounding).toContain('CAP_NET_RAW');
    expect(process.capabilities.effective).toEqual([]);
    expect(process.capabilities.permitted).toEqual([]);
  });

  test('ids outside the mapped range are refused', () => {
    const invalid = expect.objectContaining({
      code: 'ERR_STACKSHIM_SPEC_INVALID',
      details: { field: 'user', value: 65_536 },
    });
    for (const user of [
      { uid: 65_536, gid: 0, additionalGids: [] },
      { uid: 0, gid: 65_536, additionalGids: [] },
      { uid: 0, gid: 0, additionalGids: [65_536] },
    ]) {
      expect(() => build({}, { user })).toThrow(invalid);
      expect(build({ userns: 'host' }, { user }).process.user).toEqual(user);
    }
  });

  test('limits of the process are clamped to the host’s', () => {
    expect(build({}).process.rlimits).toEqual([
      { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
      { type: 'RLIMIT_MSGQUEUE', soft: 819_200, hard: 819_200 },
      { type: 'RLIMIT_NOFILE', soft: 1024, hard: 20_000 },
    ]);
    expect(build({ ulimits: ['nofile=30000', 'nproc=5:-1'] }).process.rlimits).toEqual([
      { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
      { type: 'RLIMIT_MSGQUEUE', soft: 819_200, hard: 819_200 },
      { type: 'RLIMIT_NOFILE', soft: 20_000, hard: 20_000 },
      { type: 'RLIMIT_NPROC', soft: 5, hard: Number.POSITIVE_INFINITY },
    ]);
  });

  test('inherited limits are never higher than the policy’s', () => {
    const base = [{ type: 'RLIMIT_NOFILE', soft: 1024, hard: 65_536 }];
    const hardLimits = { RLIMIT_RTPRIO: 99, RLIMIT_NICE: 0, RLIMIT_MEMLOCK: Infinity };
    const maxima = { RLIMIT_RTPRIO: 0, RLIMIT_NICE: 0, RLIMIT_MEMLOCK: 8, RLIMIT_NOFILE: 512 };
    expect(buildRlimits(base, [], hardLimits, maxima)).toEqual([
      { type: 'RLIMIT_NOFILE', soft: 512, hard: 512 },
      { type: 'RLIMIT_RTPRIO', soft: 0, hard: 0 },
      { type: 'RLIMIT_MEMLOCK', soft: 8, hard: 8 },
    ]);
  });

  test('an init program stands before the command', () => {
    const config = build({ init: true, command: ['a', 'b'] });
    expect(config.process.args).toEqual(['/dev/stackshim-init', '--', 'a', 'b']);
    expect(config.mounts).toContainEqual({
      destination: '/dev/stackshim-init',
      type: 'bind',
      source: '/usr/bin/tini-static',
      options: ['rbind', 'rprivate'],
    });
    expect(build({ command: ['a', 'b'] }).process.args).toEqual(['a', 'b']);
  });

  test('tty, working directory, read-only root, hostname, new privileges', () => {
    const config = build({
      tty: true,
      workdir: '/srv',
      readOnly: true,
      hostname: 'h',
      securityOpt: ['no-new-privileges=false'],
    });
    expect(config.process).toMatchObject({ terminal: true, cwd: '/srv', noNewPrivileges: false });
    expect(config.root.readonly).toBe(true);
    expect(config.hostname).toBe('h');
  });
});

test('nothing of the container’s configuration depends on the command', () => {
  const first = toConfigInput({ command: ['/bin/a'], env: { A: '1' }, workdir: '/x', user: '0' });
  const second = toConfigInput({ command: ['/bin/b', 'c'] }, { env: ['B=2'] });
  expect(buildContainerConfig(first)).toEqual(buildContainerConfig(second));
  expect(buildContainerConfig(first)).not.toHaveProperty('process');
});

test('a caller that ignores what the spec needs gets an error', () => {
  const internal = expect.objectContaining({ code: 'ERR_STACKSHIM_INTERNAL' });
  expect(() => buildConfig(toConfigInput({ securityOpt: ['seccomp=/p'] }))).toThrow(internal);
  const { initBinary: _, ...input } = toConfigInput({ init: true });
  expect(() => buildConfig(input)).toThrow(internal);
});

test('an unlimited limit is written as the kernel’s RLIM_INFINITY, and other limits do not change', () => {
  const json = toConfigJson(build({ ulimits: ['core=-1'], command: ['echo', '\\u0000unlimited'] }));
  expect(json).toContain(
    '{"type":"RLIMIT_CORE","soft":18446744073709551615,"hard":18446744073709551615}',
  );
  expect(JSON.parse(json).process.args).toEqual(['echo', '\\u0000unlimited']);
});

test('templates by name', () => {
  expect(loadTemplate('default').config.ociVersion).toBe('1.0.2');
  for (const name of ['nope', '', '__proto__', 'toString', '../default']) {
    expect(() => loadTemplate(name)).toThrow(
      expect.objectContaining({
        code: 'ERR_STACKSHIM_SPEC_INVALID',
        details: { field: 'bundle', value: name, known: ['default', 'fuse'] },
      }),
    );
  }
  // A name can come from an image's label, with any length.
  const error = catchError(() => loadTemplate('x'.repeat(60_000)));
  expect(error?.message.length).toBeLessThan(500);
});

describe('the bundle template fuse', () => {
  const template = loadTemplate('fuse');
  const { devices } = template;
  const config = build({}, { template, devices });
  const allowed = (task: object) =>
    new Set(
      build(task, { template }).linux.seccomp?.syscalls.flatMap(({ names, action, args }) =>
        action === 'SCMP_ACT_ALLOW' && args === undefined ? names : [],
      ),
    );

  test('adds one capability and one device to the default', () => {
    const plain = build({});
    expect(config.process.capabilities.bounding).toEqual(
      [...plain.process.capabilities.bounding, 'CAP_SYS_ADMIN'].sort(),
    );
    expect(config.linux.resources.devices).toEqual([
      { allow: false, access: 'rwm' },
      { allow: true, type: 'c', major: 10, minor: 229, access: 'rw' },
    ]);
    expect(config.linux.maskedPaths).toEqual(plain.linux.maskedPaths);
    expect(config.process.noNewPrivileges).toBe(true);
  });

  test('allows mount and umount, but none of the other calls of its capability', () => {
    const names = allowed({});
    expect(names).toContain('mount');
    expect(names).toContain('umount2');
    for (const name of ['unshare', 'setns', 'pivot_root', 'fsopen', 'clone']) {
      expect(names).not.toContain(name);
    }
    expect(config.linux.seccomp?.syscalls.some(({ names: all }) => all.includes('clone'))).toBe(
      true,
    );
  });

  test('gives all these calls to a task that asks for the capability itself', () => {
    expect(allowed({ capAdd: ['SYS_ADMIN'] })).toContain('unshare');
  });

  test('lists what it gives up', () => {
    expect(template.warning).toContain('masked and read-only paths do not hold');
    expect(loadTemplate('default').warning).toBeUndefined();
  });
});

function catchError(run: () => unknown): Error | undefined {
  try {
    run();
  } catch (error) {
    return error instanceof Error ? error : undefined;
  }
  return undefined;
}
