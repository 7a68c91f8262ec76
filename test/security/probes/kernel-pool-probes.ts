/** Pools of the kernel that no container is charged for, or that all containers share: filters, socket buffers, files, keys. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { countLargeFilters, largeFiltersAreGone } from '../support/filter-pool.ts';
import type { Probe, ProbeAttempt } from '../support/probe.ts';
import type { ProbeScene } from '../support/probe-scene.ts';

const group = 'resources';
const MEBIBYTE = 1024 * 1024;
/** The share of the given memory that a flood tries to use. */
const [MEMORY, FLOOD_MIB, HELD_MIB] = ['32m', 160, 100];

/** Half of what the smallest probe attaches. */
const MANY_FILTERS = 100;

/** Programs of 4,096 instructions, each 32 KiB before it is compiled. */
function filterProbe(name: string, about: Pick<Probe, 'tries' | 'program'>): Probe {
  return {
    name: `filters: ${name}`,
    group,
    ...about,
    stoppedBy: 'seccomp',
    prepare: largeFiltersAreGone,
    judge: () => countLargeFilters() > MANY_FILTERS,
  };
}

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SO_ATTACH_REUSEPORT_CBPF = 51;
const UPPER = 2 ** 32;

const filterProbes: readonly Probe[] = [
  filterProbe('SO_ATTACH_FILTER', {
    tries:
      'fills the pool in which the kernel keeps compiled filters, so that nobody can start a container, with filters of sockets',
    program: `probe attach-filters 300 ${SOL_SOCKET} ${SO_ATTACH_FILTER}`,
  }),
  filterProbe('SO_ATTACH_FILTER by a longer number', {
    tries: 'the same with numbers whose upper bits the kernel drops, and a check may not',
    program: `probe attach-filters 300 ${SOL_SOCKET + UPPER} ${SO_ATTACH_FILTER + UPPER}`,
  }),
  filterProbe('SO_ATTACH_REUSEPORT_CBPF', {
    tries: 'the same with filters that choose among sockets of one port',
    program: `probe attach-filters 300 ${SOL_SOCKET} ${SO_ATTACH_REUSEPORT_CBPF}`,
  }),
  filterProbe('nested by seccomp', {
    tries: 'the same with filters of its own system calls',
    program: 'probe nest-filters 100 seccomp',
  }),
  filterProbe('nested by prctl', {
    tries: 'the same by the older call',
    program: 'probe nest-filters 100 prctl',
  }),
];

/** Bytes in all sockets of its network namespace. */
function queuedBytes({ pid }: ProbeAttempt, protocol: 'tcp' | 'udp'): number {
  if (pid === undefined || !existsSync(`/proc/${pid}`)) return 0;
  const lines = readFileSync(`/proc/${pid}/net/${protocol}`, 'utf8').trimEnd().split('\n').slice(1);
  const queues = lines.flatMap((line) => line.trim().split(/\s+/)[4]?.split(':') ?? []);
  return queues.reduce((sum, bytes) => sum + Number.parseInt(bytes, 16), 0);
}

/** The memory that its cgroup is charged with. */
function chargedBytes({ pid }: ProbeAttempt): number {
  if (pid === undefined || !existsSync(`/proc/${pid}/cgroup`)) return 0;
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trimEnd().split('\n');
  const pathOf = (controllers: string) => lines.find((line) => line.split(':')[1] === controllers);
  const [v1, v2] = [pathOf('memory')?.split(':')[2], pathOf('')?.split(':')[2]];
  const file =
    v1 === undefined
      ? `/sys/fs/cgroup${v2}/memory.current`
      : `/sys/fs/cgroup/memory${v1}/memory.usage_in_bytes`;
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
}

const isMuch = (bytes: number) => bytes > HELD_MIB * MEBIBYTE;

const bufferProbes: readonly Probe[] = [
  {
    name: 'memory: buffers of TCP sockets',
    group,
    tries: `sends ${FLOOD_MIB} MiB that nobody reads, with ${MEMORY} of memory`,
    stoppedBy: 'limit of socket buffers (v1), limit of memory (v2)',
    task: { memory: MEMORY },
    program: `probe flood-sockets ${FLOOD_MIB} tcp`,
    judge: (attempt) => isMuch(queuedBytes(attempt, 'tcp')),
  },
  {
    name: 'memory: buffers of UDP sockets',
    group,
    tries: 'fills what 4,000 sockets may hold, with 32m of memory',
    stoppedBy: 'limit of socket buffers (v1), limit of memory (v2)',
    task: { memory: MEMORY },
    program: `probe flood-sockets ${FLOOD_MIB} udp`,
    judge: (attempt) => isMuch(queuedBytes(attempt, 'udp')),
  },
  {
    name: 'memory: buffers of Unix sockets',
    group,
    tries: `sends ${FLOOD_MIB} MiB that nobody reads, with ${MEMORY} of memory`,
    stoppedBy: 'limit of memory, which counts them',
    task: { memory: MEMORY },
    program: `probe flood-sockets ${FLOOD_MIB} unix`,
    judge: (attempt) => isMuch(chargedBytes(attempt)),
  },
  {
    name: 'memory: names that are not there',
    group,
    tries: 'asks for 700,000 files that do not exist, each of which the kernel remembers',
    stoppedBy: 'limit of memory, which counts them',
    task: { memory: MEMORY },
    program: 'probe look-for 700000',
    judge: (attempt) => isMuch(chargedBytes(attempt)),
    timeoutMs: 240_000,
  },
  {
    name: 'open files on their way',
    group,
    tries:
      'has 20,000 files open where it was given 512, all of them in messages that nobody takes',
    stoppedBy: 'limit of open files, which the kernel holds for those as well',
    task: { openFiles: 512 },
    prepare: (scene) => void scene.write('before', String(openFiles())),
    program: 'probe send-files 20000',
    judge: (_, scene) => openFiles() - Number(scene.read('before')) > 10_000,
  },
];

/** Of the whole machine. */
const openFiles = () => Number(readFileSync('/proc/sys/fs/file-nr', 'utf8').split('\t')[0]);

/** Asks on the host, as the user with the host id of the program. */
function askAsUser(scene: ProbeScene, limits: readonly string[], question: string): string {
  const as = ['--reuid', '1000', '--regid', '1000', '--clear-groups'];
  const command = [...as, ...limits, scene.image.program, question];
  return execFileSync('setpriv', command, { encoding: 'utf8' }).trim();
}

const userProbes: readonly Probe[] = [
  {
    name: 'keys of a user',
    group,
    tries: 'takes all keys that a user may have; the same user of the host makes one',
    stoppedBy: 'seccomp; ids of its own',
    task: { user: 1000 },
    prepare: (scene) => scene.defer(() => void askAsUser(scene, [], 'forget-keys')),
    program: 'probe flood-keys 1000',
    judge: (_, scene) => askAsUser(scene, [], 'next-key') === 'exhausted',
  },
  {
    name: 'message queues of a user',
    group,
    tries:
      'takes all bytes that message queues of a user may have; the same user of the host makes one',
    stoppedBy: 'ids of its own',
    task: { user: 1000 },
    program: 'probe flood-queues 100',
    judge: (_, scene) =>
      askAsUser(scene, ['prlimit', '--msgqueue=200000:200000'], 'next-queue') === 'exhausted',
  },
];

/** Sectors written to the scene's disk. */
function writtenSectors(scene: ProbeScene): number {
  const fields = readFileSync(`/sys/block/${scene.env['DISK']}/stat`, 'utf8').trim().split(/\s+/);
  return Number(fields[6]);
}

const DIRTY_MIB = 16;
const SECTORS_A_MIB = 2048;

/** A disk of the host whose filesystem has much to write. */
function makeDirtyDisk(scene: ProbeScene): void {
  execFileSync('truncate', ['-s', '64M', scene.path('disk')]);
  execFileSync('mkfs.ext4', ['-q', '-O', '^has_journal', scene.path('disk')]);
  const device = execFileSync('losetup', ['--find', '--show', scene.path('disk')], {
    encoding: 'utf8',
  }).trim();
  scene.defer(() => void execFileSync('losetup', ['--detach', device]));
  const folder = scene.bind('mounted', '/bound');
  execFileSync('mount', [device, folder]);
  scene.defer(() => void execFileSync('umount', [folder]));
  scene.env['DISK'] = device.replace('/dev/', '');
  scene.write('mounted/file', 'x'.repeat(DIRTY_MIB * MEBIBYTE));
  scene.write('before', String(writtenSectors(scene)));
}

const wasWritten = (_: ProbeAttempt, scene: ProbeScene) =>
  writtenSectors(scene) - Number(scene.read('before')) > (DIRTY_MIB / 2) * SECTORS_A_MIB;

const writingProbes: readonly Probe[] = [
  {
    name: 'sync',
    group,
    tries: 'has the host write out what others have written, at once',
    stoppedBy: 'seccomp: it does nothing',
    prepare: makeDirtyDisk,
    program: 'probe sync-all',
    judge: wasWritten,
  },
  {
    name: 'syncfs',
    group,
    tries: 'the same of the whole filesystem of a file that it was given',
    stoppedBy: 'seccomp',
    prepare: makeDirtyDisk,
    program: 'probe sync-filesystem /bound/file',
    judge: wasWritten,
  },
];

const NEW_LOOP = 4000;

const deviceProbes: readonly Probe[] = [
  {
    name: 'loop devices',
    group,
    tries: 'makes the node that gives loop devices, of which the machine has few, and asks for one',
    stoppedBy: 'device rules; `nodev`; no CAP_MKNOD',
    prepare: (scene) => scene.defer(() => forgetLoop(scene)),
    program: `mknod /control c 10 237; probe add-loop /control ${NEW_LOOP}`,
    judge: () => existsSync(`/sys/block/loop${NEW_LOOP}`),
    proveIn: 'vm',
  },
];

function forgetLoop(scene: ProbeScene): void {
  if (existsSync(`/sys/block/loop${NEW_LOOP}`)) {
    scene.call('remove-loop', '/dev/loop-control', String(NEW_LOOP));
  }
}

export const kernelPoolProbes: readonly Probe[] = [
  ...filterProbes,
  ...bufferProbes,
  ...userProbes,
  ...writingProbes,
  ...deviceProbes,
];
