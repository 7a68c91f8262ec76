/** System calls that attacks on the kernel start with. Success is observed from outside: a descriptor, a namespace, a flag. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import {
  descriptorsOf,
  lookAtProcesses,
  mountsOf,
  namespacesOf,
  statOf,
  statusOf,
} from '../../support/host/look-at-processes.ts';
import type { Probe, ProbeAttempt } from '../support/probe.ts';

const group = 'system calls';

/** A call that returns a descriptor of a kind which the host can see. */
function descriptorProbe(name: string, command: string, kind: RegExp): Probe {
  return {
    name,
    group,
    tries: `\`${name}\``,
    stoppedBy: 'seccomp',
    program: `probe ${command}`,
    judge: ({ pid }) => descriptorsOf(pid).some((link) => kind.test(link)),
  };
}

const hasOwn =
  (kind: string) =>
  ({ pid }: ProbeAttempt) =>
    new Set(namespacesOf(pid, kind)).size > 1;

/** Fields of proc_pid_stat(5), counted from the state. */
const [NICE, POLICY] = [16, 38];

export const systemCallProbes: readonly Probe[] = [
  descriptorProbe('bpf', 'bpf', /anon_inode:bpf-map/),
  descriptorProbe('perf_event_open', 'perf', /anon_inode:\[perf_event\]/),
  descriptorProbe('userfaultfd', 'userfaultfd', /anon_inode:\[userfaultfd\]/),
  descriptorProbe('io_uring_setup', 'io_uring', /anon_inode:\[io_uring\]/),
  descriptorProbe('fanotify_init', 'fanotify', /anon_inode:\[fanotify\]/),
  {
    name: 'unshare: a user namespace',
    group,
    tries: 'makes a user namespace, in which it has every capability',
    stoppedBy: 'seccomp',
    program: 'probe unshare 0x10000000',
    judge: hasOwn('user'),
  },
  {
    name: 'clone3: a user namespace',
    group,
    tries: 'the same with the call whose flags a filter cannot see',
    stoppedBy: 'seccomp (`clone3` does not exist)',
    program: 'probe clone3',
    judge: hasOwn('user'),
  },
  {
    name: 'unshare: a mount namespace',
    group,
    tries: 'makes a mount namespace and mounts in it',
    stoppedBy: 'seccomp',
    program: 'probe unshare 0x20000',
    judge: hasOwn('mnt'),
  },
  {
    name: 'unshare: a network namespace',
    group,
    tries: 'makes a network namespace, where it may set up firewalls: much kernel code',
    stoppedBy: 'seccomp',
    program: 'probe unshare 0x40000000',
    judge: hasOwn('net'),
  },
  {
    name: 'setns',
    group,
    tries: 'joins the mount namespace of a process of the host',
    stoppedBy: 'seccomp; pid namespace',
    prepare(scene) {
      scene.env['PID'] = String(process.pid);
    },
    program: 'probe join-namespace /proc/$PID/ns/mnt',
    judge: ({ pid }) => namespacesOf(pid, 'mnt').includes(readlinkSync('/proc/self/ns/mnt')),
    open: { share: ['pid'] },
  },
  {
    name: 'mount',
    group,
    tries: 'mounts a tmpfs',
    stoppedBy: 'seccomp; no CAP_SYS_ADMIN',
    program: 'mkdir /m; mount -t tmpfs probe /m',
    judge: ({ pid }) => mountsOf(pid).includes('/m tmpfs'),
  },
  {
    name: 'fsopen, fsmount, move_mount',
    group,
    tries: 'the same with the newer calls',
    stoppedBy: 'seccomp; no CAP_SYS_ADMIN',
    program: 'mkdir /m; probe new-mount /m',
    judge: ({ pid }) => mountsOf(pid).includes('/m tmpfs'),
  },
  {
    name: 'ptrace',
    group,
    tries: 'traces a process of its own',
    stoppedBy: 'seccomp',
    program: 'probe trace-child',
    judge: ({ pid }) => statusOf(pid, 'TracerPid').some((tracer) => tracer !== '0'),
  },
  {
    name: 'personality',
    group,
    tries: 'turns off the randomising of addresses',
    stoppedBy: 'seccomp',
    program: 'probe no-randomizing',
    judge: ({ pid }) =>
      lookAtProcesses(pid, (folder) =>
        readFileSync(`${folder}/personality`, 'utf8').trim(),
      ).includes('00040000'),
  },
  {
    name: 'setpriority',
    group,
    tries: 'takes precedence over the processes of the host',
    stoppedBy: 'no CAP_SYS_NICE on the host',
    program: 'probe more-priority',
    judge: ({ pid }) => statOf(pid).some((fields) => Number(fields[NICE]) < 0),
  },
  {
    name: 'sched_setscheduler',
    group,
    tries: 'runs before every ordinary process, for ever',
    stoppedBy: 'no CAP_SYS_NICE on the host',
    // Some kernels move such processes only to the first group.
    program:
      'mkdir /c; mount -t cgroup -o cpu cpu /c && echo $$ > /c/cgroup.procs; probe real-time',
    open: { share: ['cgroup'] },
    judge: ({ pid }) => statOf(pid).some((fields) => fields[POLICY] !== '0'),
  },
  {
    name: 'packet sockets',
    group,
    tries: 'opens a socket that sees every packet',
    stoppedBy: 'seccomp; no CAP_NET_RAW',
    program: 'probe packet-socket',
    judge: ({ pid }) => socketsOf(pid, 'packet').length > 0,
  },
  {
    name: 'raw sockets',
    group,
    tries: 'opens a socket that forges packets',
    stoppedBy: 'no CAP_NET_RAW',
    program: 'probe raw-socket',
    judge: ({ pid }) => socketsOf(pid, 'raw').length > 0,
  },
  {
    name: 'reboot',
    group,
    tries: 'changes what Ctrl-Alt-Del does',
    stoppedBy: 'seccomp; user namespace',
    prepare(scene) {
      const before = rebootSwitch().trim();
      scene.write('before', before);
      scene.env['OTHER'] = before === '1' ? '0' : '1';
      scene.defer(() => {
        if (rebootSwitch().trim() !== before) writeFileSync(REBOOT_SWITCH, before);
      });
    },
    program: 'probe change-reboot $OTHER',
    judge: (_, scene) => rebootSwitch().trim() !== scene.read('before'),
    open: { share: ['pid'] },
  },
  {
    name: 'swapon',
    group,
    tries: 'has the host swap to a file of its own',
    stoppedBy: 'seccomp; user namespace',
    prepare(scene) {
      const folder = scene.bind('shared', '/shared');
      scene.defer(() => {
        if (isSwappedTo()) execFileSync('swapoff', [`${folder}/probe-swap`]);
      });
    },
    program: `dd if=/dev/zero of=/shared/probe-swap bs=1M count=4; chmod 600 /shared/probe-swap
      mkswap /shared/probe-swap && swapon /shared/probe-swap`,
    judge: () => isSwappedTo(),
  },
  {
    name: 'clock_settime',
    group,
    tries: 'sets the clock of the host an hour ahead',
    stoppedBy: 'seccomp; user namespace',
    program: 'probe set-clock 3600',
    prepare(scene) {
      const difference = Date.now() - performance.now();
      scene.env['DIFFERENCE'] = String(difference);
      scene.defer(() => {
        if (isAhead(difference)) scene.call('set-clock-back', '3600');
      });
    },
    judge: (_, scene) => isAhead(Number(scene.env['DIFFERENCE'])),
    proveIn: 'vm',
  },
  {
    name: 'finit_module',
    group,
    tries: 'loads a module into the kernel',
    stoppedBy: 'seccomp; user namespace',
    prepare(scene) {
      const folder = scene.bind('modules', '/modules');
      const found = spawnSync('modinfo', ['--filename', MODULE], {
        encoding: 'utf8',
      }).stdout?.trim();
      const unpack = found?.endsWith('.xz') ? 'xzcat' : 'cat';
      if (found) writeFileSync(`${folder}/probe.ko`, execFileSync('busybox', [unpack, found]));
      scene.defer(() => {
        if (isLoaded()) execFileSync('rmmod', [MODULE]);
      });
    },
    program: 'probe load-module /modules/probe.ko',
    judge: () => isLoaded(),
    proveIn: 'vm',
  },
];

const REBOOT_SWITCH = '/proc/sys/kernel/ctrl-alt-del';
const rebootSwitch = () => readFileSync(REBOOT_SWITCH, 'utf8');

const isSwappedTo = () => readFileSync('/proc/swaps', 'utf8').includes('probe-swap');

/** A child that does nothing. */
const MODULE = 'dummy';
const isLoaded = () =>
  existsSync('/proc/modules') && readFileSync('/proc/modules', 'utf8').includes(`${MODULE} `);

/** Whether the wall clock has advanced half an hour more than the time since the start. */
const isAhead = (difference: number) => Date.now() - performance.now() - difference > 1_800_000;

/** Sockets of a kind in the process's network namespace. */
function socketsOf(pid: number | undefined, kind: string): readonly string[] {
  if (pid === undefined) return [];
  return readFileSync(`/proc/${pid}/net/${kind}`, 'utf8').trimEnd().split('\n').slice(1);
}
