/** Using more than one's share. Every flood stops well above the limits of a task, so that none can harm the host. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import {
  descriptorsOf,
  lookAtProcesses,
  residentBytesOf,
} from '../../support/host/look-at-processes.ts';
import { isFullRun } from '../../support/timing/full-run.ts';
import type { Probe, ProbeAttempt } from '../support/probe.ts';
import type { ProbeScene } from '../support/probe-scene.ts';

const group = 'resources';
const MEBIBYTE = 1024 * 1024;
/** A task has by default 256 processes, 512 MiB of memory, 64 MiB of output. */
const [PROCESSES, MEMORY_MIB, OUTPUT_MIB] = [400, 700, 200];
const isBeyondMemory = (bytes: number) => bytes > 600 * MEBIBYTE;
/** Files for a removal; the document states both numbers. */
const FILES = isFullRun ? 1_000_000 : 20_000;

const usedBytes = (path: string): number => {
  const { blocks, bfree, bsize } = statfsSync(path);
  return (blocks - bfree) * bsize;
};
const usedIn = ({ pid }: ProbeAttempt, path: string) =>
  Math.max(0, ...lookAtProcesses(pid, (folder) => usedBytes(`${folder}/root${path}`)));
const isLeft = ({ writtenTo }: ProbeAttempt) => existsSync(writtenTo);

/** Asks on the host, as the user with the host id of the program. */
function askAsUser(scene: ProbeScene, question: string): string {
  const as = ['--reuid', '1000', '--regid', '1000', '--clear-groups'];
  return execFileSync('setpriv', [...as, scene.image.program, question], {
    encoding: 'utf8',
  }).trim();
}

export const resourceProbes: readonly Probe[] = [
  {
    name: 'processes without end',
    group,
    tries: `starts ${PROCESSES} processes (a fork bomb)`,
    stoppedBy: 'limit of processes',
    program: `probe flood-forks ${PROCESSES}`,
    judge: ({ pid }) => lookAtProcesses(pid, () => 1).length >= PROCESSES,
  },
  {
    name: 'threads without end',
    group,
    tries: `starts ${PROCESSES} threads`,
    stoppedBy: 'limit of processes, which counts threads',
    program: `probe flood-threads ${PROCESSES}`,
    judge: ({ pid }) =>
      lookAtProcesses(pid, (folder) => readdirSync(`${folder}/task`)).flat().length >= PROCESSES,
  },
  {
    name: 'zombies without end',
    group,
    tries: `leaves ${PROCESSES} ended processes that nobody waits for`,
    stoppedBy: 'limit of processes, which counts them',
    program: `probe flood-zombies ${PROCESSES}`,
    judge: ({ pid }) => zombiesOf(pid) >= PROCESSES,
  },
  {
    name: 'memory without end',
    group,
    tries: `writes to ${MEMORY_MIB} MiB of memory`,
    stoppedBy: 'limit of memory',
    program: `probe flood-memory ${MEMORY_MIB}`,
    judge: ({ pid }) => isBeyondMemory(residentBytesOf(pid)),
  },
  {
    name: 'memory: files without names',
    group,
    tries: `writes ${MEMORY_MIB} MiB to a file in memory`,
    stoppedBy: 'limit of memory, which counts them',
    program: `probe flood-memory-file ${MEMORY_MIB}`,
    judge: ({ pid }) => isBeyondMemory(largestFileOf(pid)),
  },
  {
    name: 'memory: shared segments',
    group,
    tries: `writes ${MEMORY_MIB} MiB to System V segments that no process has attached`,
    stoppedBy: 'limit of memory, which counts them',
    program: `probe flood-shared-memory ${MEMORY_MIB}`,
    judge: ({ pid }) => isBeyondMemory(sharedBytesOf(pid)),
  },
  {
    name: 'memory: /dev/shm',
    group,
    tries: `writes ${MEMORY_MIB} MiB to a file there`,
    stoppedBy: 'its size; limit of memory',
    program: `probe flood-file ${MEMORY_MIB} /dev/shm/file`,
    judge: (attempt) => isBeyondMemory(usedIn(attempt, '/dev/shm')),
  },
  {
    name: 'memory: a tmpfs',
    group,
    tries: `writes ${MEMORY_MIB} MiB to a tmpfs that was mounted without a size`,
    stoppedBy: 'limit of memory, which counts it',
    task: { tmpfs: ['/mounted'] },
    program: `probe flood-file ${MEMORY_MIB} /mounted/file`,
    judge: (attempt) => isBeyondMemory(usedIn(attempt, '/mounted')),
  },
  {
    name: 'disk: bytes',
    group,
    tries: 'writes 200 MiB where it was given 64 MiB',
    stoppedBy: 'limit of disk space',
    task: { disk: '64m' },
    program: 'probe flood-file 200 /file',
    judge: ({ pid }) =>
      lookAtProcesses(pid, (folder) => statSync(`${folder}/root/file`).blocks * 512).some(
        (bytes) => bytes > 100 * MEBIBYTE,
      ),
  },
  {
    name: 'disk: inodes',
    group,
    tries: 'makes 20,000 files where it was given 64 MiB, which has inodes for 8,192',
    stoppedBy: 'limit of disk space, which counts them',
    task: { disk: '64m' },
    program: 'mkdir /many; cd /many; probe many 20000',
    judge: ({ pid }) => entriesBelow(`/proc/${pid}/root/many`) > 10_000,
  },
  {
    name: 'open files',
    group,
    tries: 'opens 2,000 files where it was given 512',
    stoppedBy: 'limit of open files',
    task: { openFiles: 512 },
    program: 'probe flood-descriptors 2000',
    judge: ({ pid }) => descriptorsOf(pid).length > 1000,
  },
  {
    name: 'output at full speed',
    group,
    tries: `writes ${OUTPUT_MIB} MiB to standard output`,
    stoppedBy: 'limit of output, which ends it',
    program: `probe flood-output ${OUTPUT_MIB}`,
    judge: ({ stdoutBytes }) => stdoutBytes > 100 * MEBIBYTE,
  },
  {
    name: 'pseudo terminals',
    group,
    tries: 'opens 600 of the 4,096 that the host has',
    stoppedBy: 'a limit of its own `/dev/pts`',
    program: 'probe flood-terminals 600',
    judge: ({ pid }) => descriptorsOf(pid).filter((link) => link.endsWith('ptmx')).length >= 600,
  },
  {
    name: 'inotify of a user',
    group,
    tries: 'takes every instance that a user may have; the same user of the host asks for one',
    stoppedBy: 'ids of its own',
    task: { user: 1000 },
    program: 'probe flood-watches 10000',
    judge: (_, scene) => askAsUser(scene, 'next-watch') === 'exhausted',
  },
  {
    name: 'pipes of a user',
    group,
    tries: 'takes all pages that pipes of a user may have; the same user of the host makes one',
    stoppedBy: 'ids of its own',
    task: { user: 1000 },
    program: 'probe flood-pipes 400',
    judge: (_, scene) => Number(askAsUser(scene, 'next-pipe')) < 65_536,
  },
  {
    name: 'signals of a user',
    group,
    tries: 'leaves 1,000 signals pending; the same user of the host may have 500',
    stoppedBy: 'ids of its own',
    task: { user: 1000 },
    program: 'probe flood-signals 1000',
    judge: (_, scene) => !mayQueue(scene),
  },
  {
    name: 'core files',
    group,
    tries: 'crashes with its limit of core files raised',
    stoppedBy: 'hard limit of 0',
    program: `cd /tmp; ulimit -c unlimited; sh -c 'kill -SEGV $$'`,
    judge: ({ pid }) =>
      lookAtProcesses(pid, (folder) => readdirSync(`${folder}/root/tmp`))
        .flat()
        .some((name) => name.startsWith('core')),
    open: { coreFiles: true },
  },
  {
    name: 'removal: folders in folders',
    group,
    tries: 'makes 10,000 levels of folders',
    stoppedBy: 'its disk space is dropped whole; else removal goes by descriptors',
    program: 'cd /tmp; probe tree 10000',
    judgeAfter: isLeft,
  },
  {
    name: 'removal: very many files',
    group,
    tries: 'makes 1,000,000 files (20,000 where not everything is tested) with odd names',
    stoppedBy: 'the same',
    timeoutMs: isFullRun ? 1_200_000 : 240_000,
    ...(isFullRun ? { task: { disk: '9g' } } : {}),
    program: `cd /tmp; probe many ${FILES}`,
    judgeAfter: isLeft,
  },
  {
    name: 'removal: names that could be taken for others',
    group,
    tries:
      'names folders by bytes that are no text, and a link to a folder of the host by what they read as, so that who removes the first empties the second; or empties it itself',
    stoppedBy: 'removal takes names as bytes and enters no link',
    prepare(scene) {
      mkdirSync(scene.path('beside'));
      scene.write('beside/kept', 'kept');
    },
    program: [
      'cd /tmp',
      'ln -s $FOLDER/beside "$(printf "\\357\\277\\275")"',
      'for i in 0 1 2 3; do for j in 0 1 2 3 4 5 6 7; do mkdir "$(printf "\\2$i$j")"; done; done',
      'rm -f $FOLDER/beside/kept',
    ].join('\n'),
    judgeAfter: (_, scene) => !existsSync(scene.path('beside/kept')),
    open: { sceneFolder: true },
  },
  {
    name: 'removal: what cannot be changed',
    group,
    tries: 'makes a file immutable, so that not even root can remove it',
    stoppedBy: 'no CAP_LINUX_IMMUTABLE on the host',
    program: 'echo > /tmp/held; probe immutable /tmp/held',
    judgeAfter: isLeft,
  },
];

/** A process that has ended is in no cgroup any more: it is identified by its parent. */
function zombiesOf(pid: number | undefined): number {
  const parents = lookAtProcesses(pid, (folder) => folder.slice('/proc/'.length));
  const isTheirs = (folder: string) => {
    try {
      const text = readFileSync(`/proc/${folder}/stat`, 'utf8');
      const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ');
      return state === 'Z' && parents.includes(parent ?? '');
    } catch {
      return false;
    }
  };
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isTheirs(name)).length;
}

const entriesBelow = (folder: string) =>
  spawnSync('find', [folder, '-printf', '.'], { maxBuffer: MEBIBYTE }).stdout.length;

function largestFileOf(pid: number | undefined): number {
  const sizes = lookAtProcesses(pid, (folder) =>
    readdirSync(`${folder}/fd`).map((fd) => statSync(`${folder}/fd/${fd}`).blocks * 512),
  ).flat();
  return Math.max(0, ...sizes);
}

/** Resident bytes of all System V segments in its ipc namespace. */
function sharedBytesOf(pid: number | undefined): number {
  if (pid === undefined) return 0;
  const seen = spawnSync(
    'nsenter',
    ['--target', String(pid), '--ipc', 'cat', '/proc/sysvipc/shm'],
    { encoding: 'utf8' },
  );
  const lines = (seen.stdout ?? '').trimEnd().split('\n').slice(1);
  return lines.reduce((sum, line) => sum + Number(line.trim().split(/\s+/)[14]), 0);
}

/** Whether user 1000 of the host can have a signal pending beside 500 of its own. */
function mayQueue(scene: ProbeScene): boolean {
  const as = ['--reuid', '1000', '--regid', '1000', '--clear-groups'];
  const limited = ['prlimit', '--sigpending=500:500', scene.image.program, 'next-signal'];
  return execFileSync('setpriv', [...as, ...limited], { encoding: 'utf8' }).trim() === 'free';
}
