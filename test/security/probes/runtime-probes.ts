/** Known attacks on the runtime: its own program, descriptors that it leaves open, mounts at paths that a task controls. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { lookAtProcesses } from '../../support/host/look-at-processes.ts';
import type { Probe, ProbeAttempt } from '../support/probe.ts';
import { leaked } from '../support/probe.ts';
import type { ProbeScene } from '../support/probe-scene.ts';

const isOverwritten = (path: string) =>
  existsSync(path) && readFileSync(path).subarray(0, 11).toString() === 'overwritten';
const RUNTIMES = ['/usr/sbin/runc', '/usr/bin/runc', '/var/lib/stackshim/runtimes/runc'];

/** Files that a task must not see are hidden behind a device that reads as empty. */
const MASKED = ['/proc/keys', '/proc/timer_list'];
const isMasked = (path: string) =>
  statSync(path).isCharacterDevice() ||
  (statSync(path).size === 0 && readFileSync(path).length === 0);
const showsMasked = ({ pid }: ProbeAttempt) =>
  lookAtProcesses(pid, (folder) =>
    MASKED.filter((path) => !isMasked(`${folder}/root${path}`)),
  ).flat().length > 0;

const CLIMB = 'cat secret ../../../../../../..$SECRET';

/** What a runtime writes there affects a process: the write must reach the kernel's files, not the task's. */
const WRITTEN_BY_RUNTIMES = / \/proc\/\S*attr /;
/** The race is lost in most rounds, sometimes sixty times: where only the race gets through, it is repeated. */
const ROUNDS = { stackshim: 60, docker: 400, open: 60 } as const;

/** Another task gets a tmpfs at one of two names, which this task swaps repeatedly. */
async function raceTargets(scene: ProbeScene): Promise<void> {
  const shared = scene.bind('shared', '/shared');
  mkdirSync(`${shared}/folder`, { mode: 0o777 });
  symlinkSync('/proc/self/attr', `${shared}/link`);
  await scene.neighbour('probe exchange /shared/folder /shared/link');
  let seen = '';
  for (
    let round = 0;
    round < ROUNDS[scene.placeName] && !WRITTEN_BY_RUNTIMES.test(seen);
    round += 1
  ) {
    seen += await scene.visit('cat /proc/self/mountinfo', { task: { tmpfs: ['/shared/folder'] } });
  }
  scene.write('seen', seen);
}

export const runtimeProbes: readonly Probe[] = [
  {
    name: 'runtime: overwrite the program of a process outside',
    group: 'the runtime',
    tries:
      'opens `/proc/*/exe` by name and writes to the file once its process has ended (CVE-2019-5736)',
    stoppedBy: 'pid namespace',
    async prepare(scene) {
      copyFileSync(scene.image.program, scene.path('bait'));
      await scene.host([scene.path('bait'), 'wait']);
      scene.env['INODE'] = String(statSync(scene.path('bait')).ino);
    },
    program: 'probe overwrite-exe $INODE',
    judge: (_, scene) => isOverwritten(scene.path('bait')),
    open: { share: ['pid'] },
  },
  {
    name: 'runtime: be run in its place',
    group: 'the runtime',
    tries:
      'asks for `/proc/self/exe` as its command, with a dynamic linker of its own that overwrites the program (CVE-2019-5736)',
    stoppedBy: 'the runtime runs from a sealed copy; the user namespace',
    // Linked dynamically, like runtimes.
    prepare: (scene) => copyFileSync('/usr/bin/true', scene.path('bait')),
    program: '',
    task: { command: ['/proc/self/exe'] },
    judge: (_, scene) => [scene.path('bait'), ...RUNTIMES].some(isOverwritten),
    open: { sceneFolder: true, command: ['$FOLDER/bait'] },
  },
  {
    name: 'runtime: read through descriptors it left open',
    group: 'the runtime',
    tries:
      'looks for a file of the host below every descriptor that the command was started with (CVE-2024-21626)',
    stoppedBy: 'nothing is left open',
    program: 'probe read-beyond $SECRET',
    judge: leaked,
    open: { leaked: '/' },
  },
  {
    name: 'runtime: start in a folder it left open',
    group: 'the runtime',
    tries:
      'asks for `/proc/self/fd/N` as its working directory and climbs from there (CVE-2024-21626)',
    stoppedBy: 'a patched runtime',
    async prepare(scene) {
      scene.write('seen', '');
      for (let fd = 3; fd < 12; fd += 1) {
        const setting = { task: { workdir: `/proc/self/fd/${fd}` }, env: scene.env };
        scene.write('seen', scene.read('seen') + (await scene.visit(CLIMB, setting)));
      }
    },
    program: CLIMB,
    judge: (attempt, scene) => leaked(attempt, scene) || scene.read('seen').includes(scene.secret),
    open: { sceneFolder: true, workdir: '$FOLDER' },
  },
  {
    name: 'runtime: links in place of its device nodes',
    group: 'the runtime',
    tries:
      'brings an image whose `/dev/null` and `/dev/console` are links, and reads what should be masked (CVE-2025-31133)',
    stoppedBy: '`/dev` is a tmpfs of the task’s own, not of its image; a patched runtime',
    program: '',
    judge: showsMasked,
  },
  {
    name: 'runtime: the same with a terminal',
    group: 'the runtime',
    tries: 'the same while the runtime mounts a terminal over `/dev/console` (CVE-2025-52565)',
    stoppedBy: 'the same',
    task: { terminal: true },
    program: '',
    judge: showsMasked,
  },
  {
    name: 'runtime: a mount over the files that it writes',
    group: 'the runtime',
    tries:
      'swaps a folder with a link to `/proc/self/attr` while a tmpfs is mounted there for another task, and mounts one itself (CVE-2025-52881)',
    stoppedBy: 'a patched runtime; no such capability',
    onlyAgainst: 'runc',
    prepare: raceTargets,
    timeoutMs: 180_000,
    program: 'mount -t tmpfs none /proc/$$/attr\nexec probe wait',
    judge: ({ pid }, scene) =>
      [
        scene.read('seen'),
        pid === undefined ? '' : readFileSync(`/proc/${pid}/mountinfo`, 'utf8'),
      ].some((text) => WRITTEN_BY_RUNTIMES.test(text)),
  },
];
