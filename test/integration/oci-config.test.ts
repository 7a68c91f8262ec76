/** Generated configurations in real runtimes, checked from inside: what a task can do and what it cannot. */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { openCgroupDriver } from '../../src/cgroup/open-cgroup-driver.ts';
import { INIT_CANDIDATES } from '../../src/oci/build-mounts.ts';
import { toConfigJson } from '../../src/oci/build-process.ts';
import { useLeakCheck } from '../support/host/leak-check.ts';
import { makeFolder, runtimesUnderTest } from '../support/runtimes/runtime-lab.ts';
import { buildConfig, type ConfigInput } from '../support/tasks/build-config.ts';
import { testIds, toConfigInput } from '../support/tasks/oci-config-input.ts';

const applets =
  'cat chroot grep head hostname id ip ls mkdir mkfifo mount printf readlink sh sleep touch tr true ulimit umount unshare';
const folder = makeFolder();
const cgroupParent = `/stackshim-test-${randomBytes(4).toString('hex')}`;
const runtimes = runtimesUnderTest(folder);
const cgroups = openCgroupDriver();

afterAll(() => rmSync(folder, { recursive: true }));

test('the runtimes under test are different programs and versions', () => {
  const versions = runtimes.map(
    ({ path }) => execFileSync(path, ['--version'], { encoding: 'utf8' }).split('\n')[0],
  );
  expect(versions[0]).toMatch(/^runc version 1\.1\./);
  expect(versions.at(-1)).toMatch(/^crun version 1\./);
  expect(new Set(versions).size).toBe(runtimes.length);
});

/** Busybox and empty folders, owned by the task's root. */
function makeRootfs(hostRoot: number): string {
  const rootfs = `${folder}/rootfs-${hostRoot}`;
  for (const name of ['bin', 'dev', 'etc', 'proc', 'run', 'sys', 'tmp']) {
    mkdirSync(`${rootfs}/${name}`, { recursive: true });
  }
  copyFileSync('/bin/busybox', `${rootfs}/bin/busybox`);
  for (const applet of applets.split(' ')) symlinkSync('busybox', `${rootfs}/bin/${applet}`);
  for (const path of readdirSync(rootfs, { recursive: true, encoding: 'utf8' })) {
    lchownSync(`${rootfs}/${path}`, hostRoot, hostRoot);
  }
  lchownSync(rootfs, hostRoot, hostRoot);
  return rootfs;
}

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a shell script as a task. */
function runScript(
  runtime: string,
  script: string,
  task: object = {},
  more: Partial<ConfigInput> = {},
): Ended {
  const input = toConfigInput({ command: ['/bin/sh', '-c', script], ...task }, more);
  const id = `oci-${randomBytes(4).toString('hex')}`;
  const bundle = `${folder}/${id}`;
  const rootfs = makeRootfs(input.ids?.base ?? 0);
  mkdirSync(bundle);
  const config = buildConfig({ ...input, rootfs, cgroupsPath: `${cgroupParent}/${id}` });
  writeFileSync(`${bundle}/config.json`, toConfigJson(config));
  try {
    const args = ['--root', `${folder}/state`, 'run', '--bundle', bundle, id];
    return spawnSync(runtime, args, { encoding: 'utf8', input: '' });
  } finally {
    rmSync(bundle, { recursive: true });
    rmSync(rootfs, { recursive: true });
  }
}

const status = `grep -E '^(Cap...|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t'`;

function statusOf(mask: string, more: { bounding?: string; newPrivileges?: boolean } = {}): string {
  const { bounding = mask, newPrivileges = false } = more;
  return [
    'CapInh:0000000000000000',
    `CapPrm:${mask}`,
    `CapEff:${mask}`,
    `CapBnd:${bounding}`,
    'CapAmb:0000000000000000',
    `NoNewPrivs:${newPrivileges ? 0 : 1}`,
    'Seccomp:2',
    '',
  ].join('\n');
}

/** CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE as bits. */
const DEFAULT_MASK = '00000000000005fb';
const NO_MASK = '0000000000000000';

describe.each(runtimes)('$name', ({ path: runtime }) => {
  useLeakCheck({ roots: () => [folder] });
  afterEach(async () => {
    expect(await cgroups.remove(cgroupParent)).toEqual([]);
    rmSync(`${folder}/state`, { recursive: true, force: true });
  });
  const run = (script: string, task?: object, more?: Partial<ConfigInput>) =>
    runScript(runtime, script, task, more);

  test.each([{}, { userns: 'host' }])('the task has the rights of %j', (task) => {
    expect(run(status, task)).toMatchObject({ status: 0, stdout: statusOf(DEFAULT_MASK) });
    expect(run('cat /proc/self/uid_map | tr -s " "', task).stdout).toBe(
      'userns' in task ? ' 0 0 4294967295\n' : ` 0 ${testIds.base} 65536\n`,
    );
  });

  test.each([{}, { userns: 'host' }])(
    'the host’s kernel files and dangerous system calls are denied with %j',
    (task) => {
      const { stdout } = run(
        `
      for file in /proc/keys /proc/timer_list /proc/interrupts; do cat $file; done
      ls /proc/acpi /sys/firmware
      for file in /proc/sys/kernel/hostname /proc/sysrq-trigger /sys/kernel/uevent_seqnum; do
        (echo x > $file) 2>/dev/null && echo "wrote $file"
      done
      mkdir /sys/fs/cgroup/x /sys/fs/cgroup/pids/x 2>/dev/null && echo 'made a cgroup'
      mount -t tmpfs none /tmp 2>/dev/null && echo mounted
      umount /proc/keys 2>/dev/null && echo unmounted
      unshare -U true 2>/dev/null && echo 'made a user namespace'
      unshare -m true 2>/dev/null && echo 'made a mount namespace'
      chroot / true 2>/dev/null && echo 'changed the root'
      hostname other 2>/dev/null && echo renamed
      ip link set lo mtu 100 2>/dev/null && echo 'changed an interface'
      echo end`,
        task,
      );
      expect(stdout).toBe('/proc/acpi:\n\n/sys/firmware:\nend\n');
    },
  );

  test.each([{}, { userns: 'host' }])(
    'the task’s own files and usual system calls are permitted with %j',
    (task) => {
      const { stdout } = run(
        `
      hostname; ls /sys/class/net; ip -o link show lo | grep -c UP
      echo x > /file && cat /file; echo x > /dev/shm/file && cat /dev/shm/file
      mkfifo /fifo && echo fifo; echo hello > /dev/stderr
      ls /dev | grep -v core | tr '\\n' ' '; echo; readlink /proc/1/exe; ulimit -Sn; ulimit -Hn; ulimit -c`,
        { hostname: 'box', ...task },
      );
      const devices =
        'fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero ';
      expect(stdout).toBe(`box\nlo\n1\nx\nx\nfifo\n${devices}\n/bin/busybox\n1024\n20000\n0\n`);
    },
  );

  test('limits are set before the command runs', () => {
    const { stdout } = run(
      `
      for file in memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes memory.max memory.swap.max \\
        pids/pids.max pids.max cpu/cpu.cfs_quota_us cpu.max; do
        [ -e /sys/fs/cgroup/$file ] && cat /sys/fs/cgroup/$file
      done`,
      { memory: '16m', cpus: 0.5, pidsLimit: 9 },
    );
    expect(stdout).toBe(
      cgroups.version === 1 ? '16777216\n16777216\n9\n50000\n' : '16777216\n0\n9\n50000 100000\n',
    );
  });

  test.each([{}, { userns: 'host' }])('the host’s network with %j has a read-only /sys', (task) => {
    const { stdout } = run(
      `ls /sys/class/net | grep -vc '^lo$' > /dev/null && echo more
       (echo 1 > /sys/class/net/lo/ifalias) 2>/dev/null && echo wrote
       mkdir /sys/fs/cgroup/pids/x 2>/dev/null && echo 'made a cgroup'
       echo end`,
      { network: 'host', ...task },
    );
    const others = readdirSync('/sys/class/net').length > 1;
    expect(stdout).toBe(`${others ? 'more\n' : ''}end\n`);
  });

  test('a read-only root, tmpfs and an init program work together', () => {
    const initBinary = INIT_CANDIDATES.find((path) => existsSync(path));
    expect(initBinary).toBeDefined();
    const { stdout } = run(
      `(echo x > /file) 2>/dev/null && echo wrote
       echo x > /tmp/file && cat /tmp/file
       grep -o ' /tmp tmpfs [^ ]*' /proc/mounts | tr , '\\n' | grep -E '^(nosuid|nodev|noexec|size.*)$' | tr '\\n' ' '
       readlink /proc/1/exe; readlink /proc/self/exe`,
      { readOnly: true, init: true, tmpfs: ['/tmp:size=1m'] },
      { ...(initBinary === undefined ? {} : { initBinary }) },
    );
    expect(stdout).toBe('x\nnosuid nodev noexec size=1024k /dev/stackshim-init\n/bin/busybox\n');
  });

  test('a user has its groups', () => {
    const user = { uid: 1000, gid: 1001, additionalGids: [50] };
    const { stdout } = run(
      `${status}; id -u; id -g; id -G; echo x 2>/dev/null > /f || echo no`,
      {},
      { user },
    );
    expect(stdout).toBe(
      `${statusOf(NO_MASK, { bounding: DEFAULT_MASK })}1000\n1001\n1001 50\nno\n`,
    );
  });

  test('capabilities permit their system calls', () => {
    expect(run(status, { capDrop: ['ALL'] }).stdout).toBe(statusOf(NO_MASK));
    expect(run(status, { capAdd: ['NET_RAW'] }).stdout).toBe(statusOf('00000000000025fb'));
    const { stdout } = run(
      `unshare -m mount -t tmpfs none /tmp && echo mounted; chroot / true || echo no`,
      {
        capAdd: ['SYS_ADMIN'],
      },
    );
    expect(stdout).toBe('mounted\nno\n');
  });

  test('security options and resource limits apply', () => {
    expect(run(status, { securityOpt: ['no-new-privileges=false'] }).stdout).toBe(
      statusOf(DEFAULT_MASK, { newPrivileges: true }),
    );
    const unconfined = run('grep ^Seccomp: /proc/self/status; unshare -U true && echo made', {
      securityOpt: ['seccomp=unconfined'],
    });
    expect(unconfined.stdout).toBe('Seccomp:\t0\nmade\n');
    const profile = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 }],
    };
    const own = run(
      'mkdir /x || echo no',
      { securityOpt: ['seccomp=/p'] },
      { seccompProfile: profile },
    );
    expect(own.stdout).toBe('no\n');
    expect(own.stderr).toContain('No space left on device');
    expect(
      run('ulimit -Sn; ulimit -Hn; ulimit -c', { ulimits: ['nofile=100:200', 'core=-1'] }).stdout,
    ).toBe('100\n200\nunlimited\n');
  });
});

describe.each(runtimes)('binds with $name', ({ path: runtime }) => {
  const source = `${folder}/source`;
  useLeakCheck({ roots: () => [folder] });
  afterEach(async () => {
    execFileSync('umount', [source]);
    rmSync(source, { recursive: true });
    rmSync(`${folder}/state`, { recursive: true, force: true });
    expect(await cgroups.remove(cgroupParent)).toEqual([]);
  });

  test('have the flags of the host, whatever flags the host set', () => {
    mkdirSync(source);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'noexec,nosuid,nodev', 'none', source]);
    writeFileSync(`${source}/payload`, 'data');
    execFileSync('mount', ['-o', 'remount,ro,noexec,nosuid,nodev', source]);
    const binds = [
      { source: `${source}/payload`, target: '/run/stackshim/payload', readOnly: true },
      { source, target: '/data/deep', readOnly: true },
    ];
    for (const userns of ['auto', 'host']) {
      const { stdout } = runScript(
        runtime,
        `cat /run/stackshim/payload /data/deep/payload
         (echo x > /run/stackshim/payload) 2>/dev/null && echo wrote
         touch /data/deep/x 2>/dev/null && echo touched
         echo end`,
        { userns },
        { binds },
      );
      expect(stdout).toBe('datadataend\n');
    }
  });
});
