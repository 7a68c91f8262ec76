/** Information about the host. The judge knows the truth, and checks whether the output contains it. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Probe } from '../support/probe.ts';
import { leaked } from '../support/probe.ts';
import type { ProbeScene } from '../support/probe-scene.ts';

const group = 'information';
const writeToLog = (scene: ProbeScene) =>
  writeFileSync('/dev/kmsg', `stackshim test: ${scene.secret}\n`);

export const informationProbes: readonly Probe[] = [
  {
    name: 'log of the kernel: syslog',
    group,
    tries: 'reads it with the system call',
    stoppedBy: 'seccomp; user namespace',
    prepare: writeToLog,
    program: 'probe read-log',
    judge: leaked,
  },
  {
    name: 'log of the kernel: /dev/kmsg',
    group,
    tries: 'makes the node and reads it',
    stoppedBy: 'device rules; `nodev`; no CAP_MKNOD',
    prepare: writeToLog,
    program: 'mknod /kmsg c 1 11; timeout 1 cat /kmsg',
    judge: leaked,
  },
  {
    name: 'log of the kernel: write',
    group,
    tries: 'writes a line of its own',
    stoppedBy: 'device rules; `nodev`; no CAP_MKNOD',
    prepare: (scene) => {
      scene.env['LINE'] = scene.secret;
    },
    program: 'mknod /kmsg c 1 11; echo "stackshim test: $LINE" > /kmsg',
    judge: (_, scene) => execFileSync('dmesg', { encoding: 'utf8' }).includes(scene.secret),
  },
  {
    name: 'addresses of the kernel',
    group,
    tries: 'reads `/proc/kallsyms`',
    stoppedBy: 'user namespace: they read as 0',
    program: 'head -3 /proc/kallsyms',
    judge: ({ stdout }) => /^(?!0{16})[0-9a-f]{16} \w /m.test(stdout),
  },
  {
    name: 'interrupts and timers',
    group,
    tries: 'reads `/proc/interrupts` and `/proc/timer_list`: who does what when',
    stoppedBy: 'masked paths',
    program: 'cat /proc/interrupts /proc/timer_list',
    judge: ({ stdout }) => stdout.includes('CPU0') || stdout.includes('Timer List Version'),
  },
  {
    name: 'keys of the host',
    group,
    tries: 'reads a key of root on the host and the list of keys',
    stoppedBy: 'seccomp; user namespace; masked paths',
    async prepare(scene) {
      scene.env['NAME'] = scene.secret.slice(-8);
      await scene.host([scene.image.program, 'key-put', scene.env['NAME'] ?? '', scene.secret]);
      scene.defer(() => scene.forgetKey(scene.env['NAME'] ?? ''));
    },
    program: 'cat /proc/keys; probe key-get $NAME',
    judge: leaked,
  },
  {
    name: 'mounts of the host',
    group,
    tries: 'reads what the host has mounted',
    stoppedBy: 'mount and pid namespace',
    prepare(scene) {
      mkdirSync(scene.path('mounted'));
      execFileSync('mount', ['-t', 'tmpfs', scene.secret, scene.path('mounted')]);
      scene.defer(() => void execFileSync('umount', [scene.path('mounted')]));
    },
    program: 'cat /proc/mounts /proc/*/mountinfo',
    judge: leaked,
    open: { share: ['pid'] },
  },
  {
    name: 'paths of the host',
    group,
    tries: 'reads in `/proc/mounts` where the host keeps what it writes',
    stoppedBy: 'the overlay was mounted by descriptors',
    program: 'cat /proc/mounts',
    judge: ({ stdout, writtenTo }) => writtenTo !== '' && stdout.includes(writtenTo),
    open: { overlay: true },
  },
  {
    name: 'environment of the caller',
    group,
    tries: 'looks for a variable of whoever started it',
    stoppedBy: 'a task’s environment is made anew',
    prepare(scene) {
      scene.callerEnv['PROBE_HELD'] = scene.secret;
    },
    program: 'env; cat /proc/*/environ',
    judge: leaked,
    open: { environment: true },
  },
  {
    name: 'name of the host: read',
    group,
    tries: 'asks for it',
    stoppedBy: 'uts namespace',
    program: 'echo "name $(hostname)."; cat /etc/hostname /etc/hosts',
    judge: ({ stdout }) => stdout.includes(`name ${hostname()}.`),
    open: { share: ['uts'] },
  },
  {
    name: 'addresses of the host',
    group,
    tries: 'lists network interfaces and their hardware addresses',
    stoppedBy: 'network namespace',
    program: 'cat /sys/class/net/*/address; ip address',
    judge: ({ stdout }) => hardwareAddresses().some((address) => stdout.includes(address)),
    open: { share: ['network'] },
  },
  {
    name: 'its place among the cgroups',
    group,
    tries:
      'reads `/proc/self/cgroup` and `/proc/self/mountinfo` for the host’s name of its own group',
    stoppedBy: 'cgroup namespace',
    program: 'cat /proc/self/cgroup; grep cgroup /proc/self/mountinfo; ls /sys/fs/cgroup/',
    judge: ({ stdout, pid }) => cgroupsOf(pid).some((path) => stdout.includes(path)),
    open: { share: ['cgroup'] },
  },
  {
    name: 'other processes by their use of the machine',
    group,
    tries: 'reads scheduling and memory of every process in `/proc`',
    stoppedBy: 'pid namespace',
    program:
      'cat /proc/[0-9]*/sched /proc/[0-9]*/stat | grep -c "^[0-9]"; ls /proc | grep "^[0-9]"',
    judge: ({ stdout }) => stdout.split('\n').includes(String(process.pid)),
    open: { share: ['pid'] },
  },
];

/** Includes interfaces that are down. */
function hardwareAddresses(): readonly string[] {
  const files = readdirSync('/sys/class/net').map((name) => `/sys/class/net/${name}/address`);
  const all = files.filter(existsSync).map((file) => readFileSync(file, 'utf8').trim());
  return all.filter((address) => /[1-9a-f]/.test(address));
}

/** The host's names; the root cgroup, which any process may be in, does not count. */
function cgroupsOf(pid: number | undefined): readonly string[] {
  if (pid === undefined) return [];
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trimEnd().split('\n');
  return lines.flatMap((line) => line.split(':')[2] ?? []).filter((path) => path !== '/');
}
