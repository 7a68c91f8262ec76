/** Devices, and privileges through files: setuid, capabilities, files that others may execute. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { devicesOf, statusOf } from '../../support/host/look-at-processes.ts';
import type { Probe, ProbeAttempt } from '../support/probe.ts';
import { leaked } from '../support/probe.ts';
import type { ProbeScene } from '../support/probe-scene.ts';

const group = 'devices and rights';

/** Null, zero, full, random, urandom, tty, console, ptmx and pseudo terminals, as in every container. */
const USUAL = /^(1:[35789]|5:[012]|136:\d+)$/;
const opensOthers = ({ pid }: ProbeAttempt) => devicesOf(pid).some((device) => !USUAL.test(device));

const DISK_BYTES = 1024 * 1024;

/** A disk of the host that contains the secret. */
function attachDisk(scene: ProbeScene): void {
  const content = Buffer.alloc(DISK_BYTES);
  content.write(scene.secret);
  writeFileSync(scene.path('disk'), content);
  const device = execFileSync('losetup', ['--find', '--show', scene.path('disk')], {
    encoding: 'utf8',
  }).trim();
  scene.defer(() => void execFileSync('losetup', ['--detach', device]));
  scene.env['MINOR'] = device.replace(/^\D+/, '');
  scene.env['DEVICE'] = device;
}

/** Folders in which a node could be made. */
const MAKE_NODES =
  'for place in / /tmp /dev /dev/shm /mounted; do mknod $place/disk b 7 $MINOR; done';

/** Root of the host, or of a container with the host's ids. */
const runsAsRoot = ({ pid }: ProbeAttempt) =>
  statusOf(pid, 'Uid').some((ids) => ids.split('\t')[1] === '0');

export const deviceProbes: readonly Probe[] = [
  {
    name: 'a disk: read',
    group,
    tries: 'makes nodes of a disk of the host wherever it may and reads from them',
    stoppedBy: 'device rules; `nodev`; no CAP_MKNOD',
    task: { tmpfs: ['/mounted'] },
    prepare: attachDisk,
    program: `${MAKE_NODES}
      for place in / /tmp /dev /dev/shm /mounted; do head -c 100 $place/disk; done; cat $DEVICE | head -c 100`,
    judge: leaked,
  },
  {
    name: 'a disk: write',
    group,
    tries: 'the same, and writes to them',
    stoppedBy: 'device rules; `nodev`; no CAP_MKNOD',
    task: { tmpfs: ['/mounted'] },
    prepare: attachDisk,
    program: `${MAKE_NODES}
      for place in / /tmp /dev /dev/shm /mounted; do echo overwritten > $place/disk; done; sync`,
    judge(_, scene) {
      execFileSync('blockdev', ['--flushbufs', scene.env['DEVICE'] ?? '']);
      return readFileSync(scene.path('disk')).toString().startsWith('overwritten');
    },
  },
  {
    name: 'a disk: a node that lies in a shared folder',
    group,
    tries: 'opens a node of a disk that somebody left in a folder which the task may use',
    stoppedBy: 'device rules; binds are `nodev`',
    prepare(scene) {
      attachDisk(scene);
      const folder = scene.bind('shared', '/shared');
      execFileSync('mknod', ['-m', '666', `${folder}/disk`, 'b', '7', scene.env['MINOR'] ?? '']);
    },
    program: 'head -c 100 /shared/disk',
    judge: leaked,
  },
  {
    name: 'a node in the image',
    group,
    tries: 'brings an image with a node of the kernel’s log, and opens it',
    stoppedBy: 'nodes are left out of layers; device rules; `nodev`',
    program: 'exec 3< /nodes/kmsg',
    judge: opensOthers,
  },
  {
    name: 'nodes of the host: loop, fuse, tun, kmsg, mem, kvm',
    group,
    tries: 'makes nodes of devices that give power over the host, and opens them',
    stoppedBy: 'device rules; `nodev`; no CAP_MKNOD',
    program: 'probe devices 10 237 10 229 10 200 1 11 1 1 10 232',
    judge: opensOthers,
  },
  {
    name: 'a setuid program',
    group,
    tries: 'brings an image with a setuid program and runs it as another user than root',
    stoppedBy: '`no_new_privs`; `nosuid`',
    task: { user: 1000 },
    program: 'probe-setuid wait',
    judge: ({ pid }) => new Set(statusOf(pid, 'Uid').map((ids) => ids.split('\t')[1])).size > 1,
  },
  {
    name: 'a program with capabilities',
    group,
    tries:
      'brings an image with a program that has capabilities and runs it as another user than root',
    stoppedBy: '`no_new_privs`; `nosuid`',
    task: { user: 1000 },
    program: 'probe-capable wait',
    judge: ({ pid }) => statusOf(pid, 'CapEff').some((set) => set === '0000000000000020'),
  },
  {
    name: 'capabilities given to a program',
    group,
    tries: 'gives a program of its own capabilities, for any user to have',
    stoppedBy: 'no CAP_SETFCAP; `no_new_privs`',
    program: `cp /bin/probe /probe; probe give-capability /probe
      probe as-user 1000 /probe wait`,
    judge: ({ pid }) => statusOf(pid, 'CapEff').some((set) => set === '0000000000000020'),
  },
  {
    name: 'a setuid program for the host',
    group,
    tries: 'leaves a program in a shared folder that makes any user of the host root',
    stoppedBy: 'binds are id-mapped: it belongs to an id that is neither root’s nor a task’s',
    prepare: (scene) => void scene.bind('shared', '/shared'),
    program: 'cp /bin/probe /shared/shell; chmod 4755 /shared/shell',
    judge(_, scene) {
      const path = scene.path('shared/shell');
      return existsSync(path) && statSync(path).uid === 0 && (statSync(path).mode & 0o4000) !== 0;
    },
  },
  {
    name: 'root of the host',
    group,
    tries: 'is root',
    stoppedBy: 'user namespace',
    program: '',
    judge: runsAsRoot,
  },
  {
    name: 'files of root in a shared folder',
    group,
    tries: 'reads what only root of the host may read, in a folder that it was given',
    stoppedBy: 'user namespace',
    prepare(scene) {
      scene.bind('shared', '/shared');
      scene.write('shared/private', scene.secret, 0o600);
    },
    program: 'cat /shared/private',
    judge: leaked,
  },
  {
    name: 'a read-only folder, made writable',
    group,
    tries: 'remounts a folder that it was given read-only, and writes to it',
    stoppedBy: 'it is read-only on the host; no `mount`',
    prepare(scene) {
      scene.bind('shared', '/shared', { readOnly: true });
      scene.write('shared/file', 'before', 0o666);
    },
    program: `mount -o remount,rw,bind /shared; mount -o remount,rw /shared; mkdir /m; mount --bind /shared /m
      mount -o remount,rw,bind /m; echo after > /shared/file; echo after > /m/file`,
    judge: (_, scene) => scene.read('shared/file') !== 'before',
  },
  {
    name: 'files without their names',
    group,
    tries: 'opens a file outside of a shared folder by its handle (the “Shocker” of 2014)',
    stoppedBy: 'seccomp; no CAP_DAC_READ_SEARCH on the host',
    prepare(scene) {
      scene.bind('shared', '/shared');
      scene.env['HANDLE'] = scene.call('handle-of', scene.path('secret'));
    },
    program: 'probe open-handle /shared $HANDLE',
    judge: leaked,
  },
  {
    name: 'a stack: change it for everybody',
    group,
    tries: 'overwrites a program of its image; another task is asked what it runs',
    stoppedBy: 'layers are read-only; every task has a writable layer of its own',
    program: 'rm /bin/true; printf "#!/bin/sh\\necho poison\\n" > /bin/true; chmod 755 /bin/true',
    judge: async (_, scene) => (await scene.visit('/bin/true')).includes('poison'),
    open: { sharedRoot: true },
  },
];
