/** What /proc and /sys reveal about others on the machine: their disks, writes, locks, and times of activity. */
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import type { Probe, ProbeAttempt } from '../support/probe.ts';
import type { ProbeScene } from '../support/probe-scene.ts';

const group = 'information';
const stoppedBy = 'masked paths';
const SIZE_KIB = 8324;

/** A foreign disk of a unique size, in a file whose name is the secret. */
function attachDisk(scene: ProbeScene): string {
  const file = scene.path(scene.secret);
  execFileSync('truncate', ['-s', `${SIZE_KIB}K`, file]);
  const device = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
  scene.defer(() => void execFileSync('losetup', ['--detach', device]));
  const name = device.replace('/dev/', '');
  scene.write('disk', name);
  return name;
}

function mountDisk(scene: ProbeScene): void {
  const device = `/dev/${attachDisk(scene)}`;
  execFileSync('mkfs.ext4', ['-q', device]);
  const folder = scene.path('mounted');
  execFileSync('mkdir', [folder]);
  execFileSync('mount', [device, folder]);
  scene.defer(() => void execFileSync('umount', [folder]));
}

const says = (text: (scene: ProbeScene) => string | RegExp) =>
  function judge({ stdout }: ProbeAttempt, scene: ProbeScene): boolean {
    const sought = text(scene);
    return typeof sought === 'string' ? stdout.includes(sought) : sought.test(stdout);
  };
const diskOf = (scene: ProbeScene) => scene.read('disk');
/** `7:3` */
const numbersOf = (scene: ProbeScene) =>
  readFileSync(`/sys/block/${diskOf(scene)}/dev`, 'utf8').trim();

export const traceProbes: readonly Probe[] = [
  {
    name: 'disks of others: files',
    group,
    tries: 'reads which files of the host are disks',
    stoppedBy,
    prepare: (scene) => void attachDisk(scene),
    program:
      'cat /sys/block/*/loop/backing_file /sys/class/block/*/loop/backing_file /sys/dev/block/*/loop/backing_file /sys/devices/virtual/block/*/loop/backing_file',
    judge: says(({ secret }) => secret),
  },
  {
    name: 'disks of others: sizes',
    group,
    tries: 'reads how large each disk is',
    stoppedBy,
    prepare: (scene) => void attachDisk(scene),
    program: 'cat /proc/partitions /sys/block/*/size /sys/devices/virtual/block/*/size',
    judge: says((scene) => new RegExp(`^(.* ${SIZE_KIB} ${diskOf(scene)}|${SIZE_KIB * 2})$`, 'm')),
  },
  {
    name: 'disks of others: use',
    group,
    tries: 'reads how much was read from and written to each disk',
    stoppedBy,
    prepare: (scene) => void attachDisk(scene),
    program: 'cat /proc/diskstats; grep . /sys/devices/virtual/block/*/stat',
    judge: says((scene) => new RegExp(`\\b${diskOf(scene)}[ /]`)),
  },
  {
    name: 'filesystems of others: what was written',
    group,
    tries: 'reads how much was written to each filesystem in its life',
    stoppedBy,
    prepare: mountDisk,
    program: 'grep . /sys/fs/ext4/*/lifetime_write_kbytes',
    judge: says((scene) => `/${diskOf(scene)}/lifetime_write_kbytes`),
  },
  {
    name: 'filesystems of others: options and layout',
    group,
    tries: 'reads with which options each filesystem was mounted, and where it is free',
    stoppedBy,
    prepare: mountDisk,
    program: 'grep . /proc/fs/ext4/*/options; ls /proc/fs/jbd2',
    judge: says((scene) => `/${diskOf(scene)}/options`),
  },
  {
    name: 'filesystems of others: what is mounted',
    group,
    tries: 'lists what the kernel keeps for each mounted filesystem',
    stoppedBy,
    prepare: mountDisk,
    program: 'ls /sys/devices/virtual/bdi /sys/class/bdi/*/read_ahead_kb',
    judge: says((scene) => new RegExp(`\\b${numbersOf(scene)}(/read_ahead_kb)?$`, 'm')),
  },
  {
    name: 'locks of others',
    group,
    tries: 'reads which files are locked',
    stoppedBy: 'masked paths; pid namespace',
    async prepare(scene) {
      await scene.host([scene.image.program, 'lock-file', scene.path('secret')]);
    },
    program: 'cat /proc/locks',
    judge: says((scene) => `:${statSync(scene.path('secret')).ino} `),
  },
  {
    name: 'work of the kernel for others',
    group,
    tries: 'reads what each processor does beside running processes',
    stoppedBy,
    program: 'cat /proc/softirqs',
    judge: says(() => /NET_RX:/),
  },
  {
    name: 'interrupts of devices',
    group,
    tries: 'reads which devices there are and who serves them',
    stoppedBy,
    program: 'cat /sys/kernel/irq/*/per_cpu_count /proc/irq/*/spurious',
    judge: says(() => /^(\d+,)*\d+$|last_unhandled/m),
  },
  {
    name: 'objects of the kernel',
    group,
    tries:
      'reads how many inodes, sockets and processes the kernel has, as a clock of what others do',
    stoppedBy: 'masked paths; user namespace',
    program: 'cat /proc/slabinfo; cat /sys/kernel/slab/*/objects',
    judge: says(() => /kmalloc-64|^\d+ N0=/m),
  },
  {
    name: 'memory of the kernel',
    group,
    tries: 'reads what the kernel has allocated, and for which of its functions',
    stoppedBy: 'masked paths; user namespace',
    program: 'cat /proc/vmallocinfo',
    judge: says(() => /pages=\d+ vmalloc/),
  },
];
