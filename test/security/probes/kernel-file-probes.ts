/** Kernel switches that are files: some run programs on the host, some are its limits. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { lookAtProcesses, mountsOf } from '../../support/host/look-at-processes.ts';
import type { Probe } from '../support/probe.ts';
import type { ProbeScene } from '../support/probe-scene.ts';

const group = 'the kernel’s files';

/** Saves the content of a kernel file and restores it later. */
function watchFile(scene: ProbeScene, path: string): void {
  const before = readOrNothing(path);
  scene.write('before', before);
  scene.env['FILE'] = path;
  scene.defer(() => {
    if (readOrNothing(path) !== before) writeFileSync(path, before);
  });
}
const isChanged = (scene: ProbeScene) =>
  readOrNothing(scene.env['FILE'] ?? '') !== scene.read('before');
/** Not every kernel has every switch. */
const readOrNothing = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');

const BURST = '/proc/sys/kernel/printk_ratelimit_burst';
const KSM = '/sys/kernel/mm/ksm/sleep_millisecs';

/** A program of the host that leaves a mark when it runs, and the cgroups that would run it. */
function placeAgent(scene: ProbeScene): void {
  scene.write('agent', `#!/bin/sh\n: > ${scene.path('ran')}\n`, 0o755);
  const group = `/sys/fs/cgroup/pids/${scene.secret}`;
  scene.env['GROUP'] = scene.secret;
  scene.defer(() => {
    if (!existsSync(group)) return;
    // An empty text would not be written.
    writeFileSync('/sys/fs/cgroup/pids/release_agent', '\n');
    rmdirSync(group);
  });
}

export const kernelFileProbes: readonly Probe[] = [
  {
    name: 'release agent of a cgroup',
    group,
    tries:
      'mounts a cgroup hierarchy and names a program that the host is to run when a group is empty (CVE-2022-0492)',
    stoppedBy: 'no `mount`; user and cgroup namespace',
    prepare: placeAgent,
    // If no version 1 hierarchy is mounted, a named one is mounted.
    program: `mkdir /h; { mount -t cgroup -o pids cgroup /h || mount -t cgroup -o none,name=$GROUP cgroup /h; } &&
      cd /h && mkdir $GROUP && echo $FOLDER/agent > release_agent && echo 1 > $GROUP/notify_on_release &&
        sh -c "echo \\$\\$ > $GROUP/cgroup.procs" && until [ -e $FOLDER/ran ]; do sleep 0.02; done`,
    judge: (_, scene) => existsSync(scene.path('ran')),
    open: { share: ['cgroup'], sceneFolder: true },
  },
  {
    name: 'pattern of core files',
    group,
    tries:
      'writes a program into `/proc/sys/kernel/core_pattern`, which the host runs when any process crashes',
    stoppedBy: 'read-only `/proc/sys`; user namespace',
    prepare: (scene) => watchFile(scene, '/proc/sys/kernel/core_pattern'),
    program: 'echo "|/bin/true" > $FILE',
    judge: (_, scene) => isChanged(scene),
    proveIn: 'vm',
  },
  {
    name: 'pattern of core files by a /proc of its own',
    group,
    tries: 'mounts another `/proc`, in which nothing is read-only, and writes there',
    stoppedBy: 'no `mount`; user namespace',
    prepare: (scene) => watchFile(scene, '/proc/sys/kernel/core_pattern'),
    program: 'mkdir /p; mount -t proc proc /p; echo "|/bin/true" > /p/sys/kernel/core_pattern',
    judge: (_, scene) => isChanged(scene),
    proveIn: 'vm',
  },
  {
    name: 'program that loads modules',
    group,
    tries: 'writes a program into `/proc/sys/kernel/modprobe`',
    stoppedBy: 'read-only `/proc/sys`; user namespace',
    prepare: (scene) => watchFile(scene, '/proc/sys/kernel/modprobe'),
    program: 'echo /bin/true > $FILE',
    judge: (_, scene) => isChanged(scene),
    proveIn: 'vm',
  },
  {
    name: 'a switch below /proc/sys',
    group,
    tries: 'changes how much the kernel logs',
    stoppedBy: 'read-only `/proc/sys`; user namespace',
    prepare: (scene) => watchFile(scene, BURST),
    program: 'echo 11 > $FILE',
    judge: (_, scene) => isChanged(scene),
  },
  {
    name: 'a switch below /sys',
    group,
    tries: 'changes how memory is merged',
    stoppedBy: 'read-only `/sys`; user namespace',
    prepare: (scene) => watchFile(scene, KSM),
    program:
      'echo 21 > $FILE; mount -o remount,rw /sys; echo 21 > $FILE; mkdir /s; mount -t sysfs sysfs /s; echo 21 > /s/kernel/mm/ksm/sleep_millisecs',
    judge: (_, scene) => isChanged(scene),
  },
  {
    name: 'SysRq',
    group,
    tries: 'writes to `/proc/sysrq-trigger`, which can reboot the host; here it asks for help',
    stoppedBy: 'read-only; user namespace',
    prepare: (scene) => {
      writeFileSync('/dev/kmsg', `${scene.secret}\n`);
    },
    program: 'echo h > /proc/sysrq-trigger',
    judge: (_, scene) => {
      const log = execFileSync('dmesg', { encoding: 'utf8' });
      return log.slice(log.lastIndexOf(scene.secret)).includes('sysrq: HELP');
    },
    proveIn: 'vm',
  },
  {
    name: 'a format of programs',
    group,
    tries: 'mounts `binfmt_misc` and has the host start files of a kind with a program of its own',
    stoppedBy: 'no `mount`; user namespace',
    prepare(scene) {
      scene.env['NAME'] = scene.secret;
      mkdirSync(scene.path('formats'));
      execFileSync('mount', ['-t', 'binfmt_misc', 'binfmt_misc', scene.path('formats')]);
      scene.defer(() => {
        if (existsSync(scene.path(`formats/${scene.secret}`)))
          writeFileSync(scene.path(`formats/${scene.secret}`), '-1');
        execFileSync('umount', [scene.path('formats')]);
      });
    },
    program: `mkdir /f; mount -t binfmt_misc b /f
      echo ":$NAME:M::\\\\x00probe:::/bin/true:" | sed 's/:::/::/' > /f/register`,
    judge: (_, scene) => existsSync(scene.path(`formats/${scene.secret}`)),
  },
  {
    name: 'limits of its own cgroup',
    group,
    tries: 'writes to the limits of memory and processes below `/sys/fs/cgroup`',
    stoppedBy: 'read-only; user and cgroup namespace',
    program: `for root in / /sys/fs/cgroup; do
        for name in pids.max pids/pids.max; do echo 12345 > $root/$name; done; done
      mount -o remount,rw /sys/fs/cgroup; mount -o remount,rw,bind /sys/fs/cgroup/pids; echo 12345 > /sys/fs/cgroup/pids/pids.max`,
    judge: ({ pid }) => limitsOf(pid).includes('12345'),
  },
  {
    name: 'leaving its own cgroup',
    group,
    tries: 'mounts a hierarchy and moves itself to the group at its root',
    stoppedBy: 'no `mount`; user and cgroup namespace',
    program: `mkdir /c; mount -t cgroup -o pids pids /c || mount -t cgroup2 c /c
      echo $$ > /c/cgroup.procs`,
    judge: ({ pid }) =>
      pid !== undefined && /^\d+:(pids)?:\/$/m.test(readFileSync(`/proc/${pid}/cgroup`, 'utf8')),
    open: { share: ['cgroup'] },
  },
  {
    name: 'masked files by taking the mask off',
    group,
    tries:
      'unmounts what hides files of the kernel, moves it away, binds the files to other places',
    stoppedBy: 'no `mount`, no `umount2`',
    program: `for file in /proc/keys /proc/timer_list; do umount $file; umount -l $file; done
      mkdir /m; mount --bind /proc /m; mount --rbind /proc /m; cat /m/keys`,
    judge: ({ pid }) =>
      lookAtProcesses(pid, (folder) => isOpenTo(`${folder}/root/proc/keys`)).includes(true),
  },
  {
    name: 'filesystems of the kernel, mounted anew',
    group,
    tries:
      'mounts `proc`, `sysfs`, `devtmpfs`, `debugfs`, `bpf`, `securityfs` to places of its own',
    stoppedBy: 'no `mount`',
    program:
      'for kind in proc sysfs devtmpfs debugfs bpf securityfs; do mkdir /$kind-own; mount -t $kind none /$kind-own; done',
    judge: ({ pid }) => mountsOf(pid).some((line) => /^\/\w+-own /.test(line)),
  },
  {
    name: 'priority when memory is short',
    group,
    tries: 'asks the kernel to kill any other process of the host first',
    stoppedBy: 'no CAP_SYS_RESOURCE on the host',
    program: 'echo -990 > /proc/self/oom_score_adj',
    judge: ({ pid }) =>
      lookAtProcesses(pid, (folder) =>
        Number(readFileSync(`${folder}/oom_score_adj`, 'utf8')),
      ).includes(-990),
    proveIn: 'vm',
  },
  {
    name: 'limits of a process',
    group,
    tries: 'raises its hard limit of open files',
    stoppedBy: 'no CAP_SYS_RESOURCE on the host',
    task: { openFiles: 256 },
    program: 'ulimit -H -n 300; ulimit -n 300',
    judge: ({ pid }) =>
      lookAtProcesses(pid, (folder) =>
        /^Max open files\s+\d+\s+300/m.test(readFileSync(`${folder}/limits`, 'utf8')),
      ).includes(true),
    proveIn: 'vm',
  },
];

/** The host's limit of processes in its cgroup. */
function limitsOf(pid: number | undefined): readonly string[] {
  if (pid === undefined) return [];
  const line = /^\d+:(?:pids)?:(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? '';
  return ['/sys/fs/cgroup/pids', '/sys/fs/cgroup', '/sys/fs/cgroup/unified']
    .map((root) => `${root}${line}/pids.max`)
    .filter(existsSync)
    .map((path) => readFileSync(path, 'utf8').trim());
}

const isOpenTo = (path: string) => !statSync(path).isCharacterDevice();
