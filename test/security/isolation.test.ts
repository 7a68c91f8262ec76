/** What a task can reach from inside: nothing of the host, nothing of other tasks. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { slotIds } from '../../src/task/admission/slot.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { sh } from '../support/cli/shell.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { make32BitProgram, makeCallingProgram } from '../support/programs/tiny-elf.ts';
import { TESTED_RUNTIME } from '../support/runtimes/tested-runtime.ts';
import { SECURITY_DOC } from './support/probe-table.ts';

const { installation, run, start, folder } = useTaskRunner();
const { layout, env } = installation;
const EPERM = 1;

/** System call numbers on x86-64 and arm64. */
const shut = {
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  unshare: [272, 97],
  setns: [308, 268],
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  keyctl: [250, 219],
  add_key: [248, 217],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  io_uring_setup: [425, 425],
  open_by_handle_at: [304, 265],
  init_module: [175, 105],
  kexec_load: [246, 104],
  swapon: [167, 224],
  reboot: [169, 142],
  settimeofday: [164, 170],
  fsopen: [430, 430],
  open_tree: [428, 428],
  move_mount: [429, 429],
  mount_setattr: [442, 442],
} as const;

/** The entries of /proc in the table of docs/security.md. */
function documentedEntries(): readonly string[] {
  const lines = readFileSync(SECURITY_DOC, 'utf8').split('\n');
  const begin = lines.indexOf('| entries of `/proc` | what they tell |');
  const rows = lines.slice(begin + 2, lines.indexOf('', begin));
  return rows.flatMap((row) =>
    [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  );
}

describe('namespaces', () => {
  it('are all the task’s own', async () => {
    const kinds = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'];
    const { stdout } = await run(
      [],
      sh(`for kind in ${kinds.join(' ')}; do readlink /proc/self/ns/$kind; done`),
    );
    const inside = stdout.trim().split('\n');
    const outside = kinds.map((kind) => readlinkSync(`/proc/self/ns/${kind}`));
    expect(inside.map((link) => link.split(':')[0])).toEqual(kinds);
    for (const [index, link] of inside.entries()) expect(link).not.toBe(outside[index]);
  });

  it('and id ranges differ between two concurrent tasks', async () => {
    const script =
      'for link in /proc/self/ns/*; do readlink $link; done; cat /proc/self/uid_map; echo ready; exec sleep 3600';
    const tasks = [start([], sh(script)), start([], sh(script))];
    for (const task of tasks) await task.printed('ready');
    for (const task of tasks) task.child.kill('SIGTERM');
    const [one, other] = await Promise.all(tasks.map((task) => task.ended));
    const linesOf = (text = '') => text.split('\n').filter((line) => /[:\d]/.test(line));
    const shared = linesOf(one?.stdout).filter((line) => linesOf(other?.stdout).includes(line));
    // The host's time namespace is not secret.
    expect(shared.filter((line) => !line.startsWith('time'))).toEqual([]);
  });

  it('show a task only its own processes, which the host sees as another user’s', async () => {
    const task = start(
      [],
      sh('ls /proc > /tmp/proc; grep -c "^[0-9]" /tmp/proc; echo ready; exec sleep 3600'),
    );
    await task.printed('ready');
    const { stdout } = await runCli(['ps', '--json'], { env });
    const [{ pid }] = JSON.parse(stdout).tasks;
    const uids = /^Uid:\t(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    for (const uid of uids?.split('\t') ?? []) {
      expect(Number(uid)).toBeGreaterThanOrEqual(slotIds(0).base);
    }
    task.child.kill('SIGTERM');
    // The shell and `ls`.
    expect((await task.ended).stdout).toBe('2\nready\n');
  });

  it('keep a task’s signals and its host name inside', async () => {
    const { status } = await run([], sh('hostname evil; kill -KILL -1; exit 5'));
    expect(status).toBe(5);
    expect(hostname()).not.toBe('evil');
  });
});

describe('rights', () => {
  it('are few: a system call filter, no new privileges, no dangerous capability', async () => {
    const { stdout } = await run([], ['cat', '/proc/self/status']);
    const field = (name: string) => new RegExp(`^${name}:\t(\\S+)$`, 'm').exec(stdout)?.[1];
    expect([field('Seccomp'), field('NoNewPrivs')]).toEqual(['2', '1']);
    // capabilities(7): NET_ADMIN, NET_RAW, SYS_MODULE, _RAWIO, _PTRACE, _ADMIN, _BOOT, MKNOD.
    const dangerous = [12n, 13n, 16n, 17n, 19n, 21n, 22n, 27n];
    for (const set of ['CapBnd', 'CapEff', 'CapPrm']) {
      const held = dangerous.filter((bit) => ((BigInt(`0x${field(set)}`) >> bit) & 1n) === 1n);
      expect({ set, held }).toEqual({ set, held: [] });
    }
    expect([field('CapInh'), field('CapAmb')]).toEqual(['0000000000000000', '0000000000000000']);
  });

  it('exclude the system calls that could change them or reach others', async () => {
    const code = join(folder, 'calls');
    mkdirSync(code);
    for (const [name, numbers] of Object.entries(shut)) {
      const call = numbers[process.arch === 'arm64' ? 1 : 0];
      writeFileSync(join(code, name), makeCallingProgram(call), { mode: 0o755 });
    }
    const script = 'for call in *; do ./$call; echo $call $?; done';
    const { stdout, record } = await run(['--code', code], sh(script));
    const lines = Object.keys(shut).map((name) => `${name} ${EPERM}`);
    expect(stdout.trim().split('\n').sort()).toEqual(lines.sort());
    expect(record).toMatchObject({ ...CLEAN, verdict: 'succeeded' });
  });

  // Only x86-64 has a second interface.
  if (process.arch === 'x64')
    it('end a task that uses the 32-bit interface', async () => {
      const code = join(folder, 'narrow');
      mkdirSync(code);
      writeFileSync(join(code, 'call'), make32BitProgram(), { mode: 0o755 });
      const { record } = await run(['--code', code], ['/task/call']);
      expect(record).toMatchObject({ ...CLEAN, verdict: 'signaled' });
      expect(['SIGSYS', 'SIGSEGV']).toContain(record?.signal);
    });

  it('are not extended by a setuid program', async () => {
    const script =
      'cp /bin/busybox /su; chmod 4755 /su; ls -l /su | cut -c1-4; su user -s /su -c "/su id -u"';
    const { stdout } = await run([], sh(script));
    expect(stdout).toMatch(/^-rws\n(1000\n)?$/);
  });
});

describe('files', () => {
  it('about the host are empty or unreadable', async () => {
    const masked = [
      '/proc/kcore',
      '/proc/keys',
      '/proc/latency_stats',
      '/proc/timer_list',
      '/proc/sched_debug',
      '/proc/interrupts',
    ];
    const { stdout } = await run([], sh(`cat ${masked.join(' ')} 2>/dev/null | head -c 100`));
    expect(stdout).toBe('');
    const folders =
      '/proc/acpi /proc/scsi /proc/asound /sys/firmware /sys/devices/virtual/powercap';
    expect((await run([], sh(`ls -A ${folders} 2>/dev/null | grep -v ":$"`))).stdout.trim()).toBe(
      '',
    );
    expect((await run([], ['dmesg'])).status).not.toBe(0);
  });

  it('at the top level of /proc show what docs/security.md says, and nothing else', async () => {
    const script = `cd /proc; for name in *; do
      if [ -d $name ]; then [ -n "$(ls $name 2>/dev/null)" ]
      else [ -n "$(head -c 1 $name 2>/dev/null | od -An -tx1)" ]
      fi && echo $name
    done; true`;
    const { stdout, status } = await run(['--timeout', '30s'], sh(script));
    expect(status).toBe(0);
    const shown = stdout.split('\n').filter((name) => !/^\d*$/.test(name));
    // The kernel’s own figures are always there: the script does see entries.
    expect(shown).toEqual(expect.arrayContaining(['meminfo', 'self', 'sys']));
    // An entry that is missing there: find out what it tells. Mask it, or describe it.
    expect(shown.filter((name) => !documentedEntries().includes(name))).toEqual([]);
  });

  it('of the kernel cannot be written', async () => {
    const before = readFileSync('/proc/sys/kernel/core_pattern', 'utf8');
    const paths = [
      '/proc/sys/kernel/core_pattern',
      '/proc/sys/kernel/hostname',
      '/proc/sys/vm/drop_caches',
      '/proc/sysrq-trigger',
      '/proc/irq/0/smp_affinity',
      '/sys/kernel/mm/transparent_hugepage/enabled',
      '/sys/power/state',
    ];
    const script = paths.map((path) => `echo 1 > ${path} && echo wrote ${path}`).join('; ');
    expect((await run([], sh(script))).stdout).toBe('');
    expect(readFileSync('/proc/sys/kernel/core_pattern', 'utf8')).toBe(before);
  });

  it('of cgroups cannot be written, even the task’s own', async () => {
    const script = `
      find /sys/fs/cgroup -type f -name '*limit_in_bytes' -o -name 'pids.max' -o -name 'memory.max' \
        -o -name release_agent -o -name cgroup.procs > /list
      while read -r file; do echo 1 > $file && echo wrote $file; done < /list 2>/dev/null
      find /sys/fs/cgroup -mindepth 1 -type d | while read -r d; do mkdir $d/made 2>/dev/null && echo made $d; done
      wc -l < /list`;
    expect((await run([], sh(script))).stdout).toMatch(/^[1-9]\d*\n$/);
  });

  it('and mounts are only those that a task needs', async () => {
    const { stdout } = await run(['--payload', 'x'], sh('cut -d" " -f5 /proc/self/mountinfo'));
    const points = stdout.trim().split('\n');
    const allowed =
      /^\/(|proc(\/.*)?|sys(\/.*)?|dev(\/.*)?|etc\/hosts|run\/stackshim\/(payload|progress))$/;
    expect(points.filter((point) => !allowed.test(point))).toEqual([]);
    // Some runtimes add the link `core` to a masked file.
    const nodes = (await run([], sh('ls -A /dev | grep -v "^core$"'))).stdout.trim().split('\n');
    expect(nodes.sort()).toEqual([
      'fd',
      'full',
      'mqueue',
      'null',
      'ptmx',
      'pts',
      'random',
      'shm',
      'stderr',
      'stdin',
      'stdout',
      'tty',
      'urandom',
      'zero',
    ]);
  });

  it('that are devices cannot be created or opened, with any capability', async () => {
    const disk = 'mknod /disk b 7 0 && cat /disk | head -c 1; mknod /null c 1 3 && echo made';
    const kmem = 'mknod /mem c 1 1 && head -c 1 /mem | wc -c';
    for (const options of [[], ['--cap-add', 'MKNOD'], ['--cap-add', 'ALL']]) {
      const { stdout } = await run(options, sh(`${disk}; ${kmem}`));
      expect(stdout).toBe('');
    }
  });
});

describe('binds', () => {
  it('that are read-only cannot be made writable, with any capability', async () => {
    const place = join(folder, 'bound');
    mkdirSync(place);
    writeFileSync(join(place, 'file'), 'kept');
    // Only the read-only mount prevents the task from writing.
    chmodSync(place, 0o777);
    chmodSync(join(place, 'file'), 0o666);
    const script = `
      mount -o remount,rw,bind /ro && echo remounted
      mount -o remount,rw /ro && echo remounted
      mount --bind /ro /mnt && mount -o remount,rw,bind /mnt && echo bound
      echo changed > /ro/file && echo changed
      touch /ro/made && echo made
      chmod 700 /ro && echo chmodded
      umount /ro && ls -A /ro && echo changed > /ro/file
      true`;
    const every = ['--cap-add', 'ALL', '--security-opt', 'seccomp=unconfined'];
    // crun does not lock the mounts that it brings into the task's mount namespace.
    const isCrun = TESTED_RUNTIME === 'crun';
    for (const options of [[], ['--cap-add', 'SYS_ADMIN'], every]) {
      const { stdout, stderr } = await run(
        ['-v', `${place}:/ro:ro`, ...options],
        sh(`mkdir /mnt; ${script}`),
      );
      expect({ options, stdout }).toEqual({ options, stdout: '' });
      if (isCrun && options.length > 0) expect(stderr).toContain('[ERR_STACKSHIM_SPEC_INVALID]');
      else expect(stderr).not.toContain('[ERR_STACKSHIM');
      expect(readFileSync(join(place, 'file'), 'utf8')).toBe('kept');
      expect(readdirSync(place)).toEqual(['file']);
    }
  });

  it('give the task only the access of an unrelated user to the host’s files', async () => {
    const place = join(folder, 'private');
    mkdirSync(place);
    writeFileSync(join(place, 'secret'), 'secret', { mode: 0o600 });
    const { stdout } = await run(['-v', `${place}:/b`], sh('cat /b/secret; touch /b/new; ls /b'));
    expect(stdout).toBe('secret\n');
    expect(readdirSync(place)).toEqual(['secret']);
  });

  it('have no devices and no setuid programs', async () => {
    const place = join(folder, 'odd');
    mkdirSync(place);
    execFileSync('mknod', ['-m', '666', join(place, 'zero'), 'c', '1', '5']);
    execFileSync('cp', ['/bin/busybox', place]);
    execFileSync('chmod', ['4755', join(place, 'busybox')]);
    const options = [
      '-v',
      `${place}:/b`,
      '-u',
      'user',
      '--security-opt',
      'no-new-privileges=false',
    ];
    const { stdout } = await run(options, sh('head -c 1 /b/zero | wc -c; /b/busybox id -u'));
    expect(stdout).toBe('0\n1000\n');
  });
});

describe('the network', () => {
  it('has only a loopback of its own: no service of the host answers', async () => {
    let connections = 0;
    const server = createServer(() => {
      connections += 1;
    }).listen(0, '0.0.0.0');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const script = `ls /sys/class/net; for a in 127.0.0.1 $(hostname -i) 10.0.2.2; do nc -w 1 $a ${port} < /dev/null; done; nc -w 1 8.8.8.8 53 < /dev/null; echo $?`;
    const { stdout } = await run([], sh(script));
    expect(stdout).toBe('lo\n1\n');
    expect(connections).toBe(0);
    server.close();
  });
});

describe('other tasks', () => {
  it('and users of the host cannot read a payload', async () => {
    const script = 'cat "$PAYLOAD_FILE"; echo; echo ready; exec sleep 3600';
    const options = ['--name', 'keeper', '--payload', 'secret', '-v', '/etc/hostname:/h:ro'];
    const keeper = start(options, sh(script));
    await keeper.printed('ready');
    // If its disk space is a volume, the host reaches it only through the task.
    const { stdout: listed } = await runCli(['ps', '--json'], { env });
    const [{ pid }] = JSON.parse(listed).tasks;
    const file = `/proc/${pid}/root/run/stackshim/payload`;
    expect(readFileSync(file, 'utf8')).toBe('secret');
    const inScratch = join(layout.root, 'scratch/keeper/inputs/payload');
    for (const id of ['1000', '65534', String(slotIds(4000).base)]) {
      const as = ['--reuid', id, '--regid', id, '--clear-groups'];
      for (const path of [file, inScratch, join(layout.run, 'tasks/keeper/binds/1')]) {
        expect(() => execFileSync('setpriv', [...as, 'cat', path], { stdio: 'pipe' })).toThrow();
      }
    }
    const other = await run(
      [],
      sh('ls -A /run; cat /run/stackshim/* /proc/*/environ | grep -c secret'),
    );
    expect(other.stdout).toBe('0\n');
    keeper.child.kill('SIGTERM');
    expect((await keeper.ended).stdout).toBe('secret\nready\n');
  });

  it('cannot be attacked through files on a task’s writable layer', async () => {
    await run([], sh('echo poison > /etc/passwd; rm /bin/true; mkdir /stackshim'));
    const { status, stdout } = await run(
      [],
      sh('/bin/true && head -1 /etc/passwd; ls -d /stackshim'),
    );
    expect({ status, stdout }).toEqual({ status: 1, stdout: 'root:x:0:0:root:/root:/bin/sh\n' });
  });

  it('leave folders that only root can list', () => {
    expect(statSync(join(layout.root, 'scratch')).mode & 0o066).toBe(0);
    expect(statSync(join(layout.run, 'tasks')).mode & 0o066).toBe(0);
  });
});
