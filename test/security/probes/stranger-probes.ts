/** Other users of the host who watch while a container is set up, runs and ends. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isReservedId } from '../../../src/core/host-ids.ts';
import { readProcess } from '../../../src/sys/processes.ts';
import { STRANGER_ID } from '../../support/programs/stranger.ts';
import type { Probe, ProbeAttempt } from '../support/probe.ts';
import type { ProbeScene } from '../support/probe-scene.ts';

const group = 'other users of the host';
const CLOSED = 'a task’s directories are root’s alone';
const OWN_IDS = 'user namespace: it has ids that no user of the host has';

const secretOf = ({ secret }: ProbeScene) => secret;
/** Asked last, because the stranger continues to look after the container has ended. */
const knowsSecret = (_: ProbeAttempt, scene: ProbeScene) =>
  scene.strangerKnows().includes(scene.secret);

const giveSecret = (scene: ProbeScene) => {
  scene.env['HELD'] = scene.secret;
};
const HOLD = 'mkdir -p /tmp; chmod 1777 /tmp; umask 022; echo $HELD > /tmp/held';

/** In a directory that only root can enter; its files are readable for everybody. */
function makePrivate(scene: ProbeScene, name: string): string {
  mkdirSync(scene.path('private'), { mode: 0o700 });
  const folder = scene.path(`private/${name}`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'held'), scene.secret);
  return folder;
}

const openFolder = (scene: ProbeScene) => scene.path('open');

/** A directory that every user of the host may write to. */
function makeOpenFolder(scene: ProbeScene): void {
  mkdirSync(openFolder(scene));
  chmodSync(openFolder(scene), 0o777);
}

/** The owners of the files that the stranger has left. */
const ownersOfLeft = (scene: ProbeScene): readonly number[] =>
  readdirSync(openFolder(scene)).map((name) => statSync(join(openFolder(scene), name)).uid);

const hadRightsOfOthers = (_: ProbeAttempt, scene: ProbeScene) =>
  ownersOfLeft(scene).some((uid) => uid !== STRANGER_ID);

const DISK_BYTES = 1024 * 1024;

/** A disk that the container may read. */
function giveDisk(scene: ProbeScene): void {
  writeFileSync(scene.path('disk'), Buffer.alloc(DISK_BYTES));
  const find = ['--find', '--show', scene.path('disk')];
  const device = execFileSync('losetup', find, { encoding: 'utf8' }).trim();
  scene.defer(() => void execFileSync('losetup', ['--detach', device]));
  scene.setPolicy({ allow: { devices: [device] } });
  scene.given.device = device;
}

const numberOfDisk = ({ given }: ProbeScene) => (given.device ?? '').replace(/^\D+/, '');

function isDiskOverwritten(_: ProbeAttempt, scene: ProbeScene): boolean {
  execFileSync('blockdev', ['--flushbufs', scene.given.device ?? '']);
  return readFileSync(scene.path('disk')).toString().startsWith('overwritten');
}

/** A process of the stranger still has a mount of the container that the host has not. */
function keepsMounts(_: ProbeAttempt, { placeFolders }: ProbeScene): boolean {
  const hosts = new Set(mountPointsOf('self'));
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap(mountPointsOf)
    .filter((point) => placeFolders.some((folder) => point.startsWith(`${folder}/`)))
    .some((point) => !hosts.has(point));
}

function mountPointsOf(pid: string): readonly string[] {
  try {
    const lines = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trimEnd().split('\n');
    return lines.map((line) => line.split(' ')[4] ?? '');
  } catch {
    // The process has ended.
    return [];
  }
}

const filesOfTasks: readonly Probe[] = [
  {
    name: 'a task’s payload',
    group,
    tries: 'looks for the payload wherever something is mounted, as soon as that is there',
    stoppedBy: CLOSED,
    prepare(scene) {
      scene.given.payload = scene.secret;
    },
    stranger: { mode: 'hunt', what: secretOf },
    program: 'true',
    judgeAfter: knowsSecret,
  },
  {
    name: 'a task’s code',
    group,
    tries: 'looks for a program below a directory of root’s, while it is packed, mounted and run',
    stoppedBy: CLOSED,
    prepare(scene) {
      scene.given.code = makePrivate(scene, 'code');
    },
    stranger: { mode: 'hunt', what: secretOf },
    open: { hostBinds: true },
    program: 'true',
    judgeAfter: knowsSecret,
  },
  {
    name: 'a directory that a task is given',
    group,
    tries: 'looks for what lies below a directory of root’s, where the task has it',
    stoppedBy: CLOSED,
    prepare(scene) {
      const source = makePrivate(scene, 'shared');
      scene.binds.push({ source, target: '/shared', readOnly: true });
    },
    stranger: { mode: 'hunt', what: secretOf },
    open: { hostBinds: true },
    program: 'true',
    judgeAfter: knowsSecret,
  },
  {
    name: 'a task’s environment',
    group,
    tries: 'looks for it in configuration, record and log of the task',
    stoppedBy: `${CLOSED}, and so are these files`,
    prepare: giveSecret,
    stranger: { mode: 'hunt', what: secretOf },
    program: 'true',
    judgeAfter: knowsSecret,
  },
  {
    name: 'what a task writes to its volume',
    group,
    tries: 'looks for it where the volume, and the root filesystem on it, are mounted',
    stoppedBy: CLOSED,
    task: { disk: '16m' },
    prepare: giveSecret,
    stranger: { mode: 'hunt', what: secretOf },
    open: { overlay: true },
    program: HOLD,
    judgeAfter: knowsSecret,
  },
  {
    name: 'what a task writes to plain directories',
    group,
    tries: 'the same where tasks have no volumes of their own',
    stoppedBy: CLOSED,
    prepare(scene) {
      giveSecret(scene);
      scene.setPolicy({ disk: { mechanism: 'sampling' } });
    },
    stranger: { mode: 'hunt', what: secretOf },
    open: { overlay: true },
    program: HOLD,
    judgeAfter: knowsSecret,
  },
];

const throughTime: readonly Probe[] = [
  {
    name: 'directories kept open: read',
    group,
    tries:
      'opens what it can while the task is set up, and reads the running task’s files from there',
    stoppedBy: CLOSED,
    prepare: giveSecret,
    stranger: { mode: 'read-kept', what: secretOf },
    program: HOLD,
    judgeAfter: knowsSecret,
  },
  {
    name: 'directories kept open: write',
    group,
    tries: 'the same, and leaves a file in the running task’s `/tmp`',
    stoppedBy: CLOSED,
    prepare: giveSecret,
    stranger: { mode: 'plant-kept', what: secretOf },
    program: HOLD,
    judge: ({ pid }) => existsSync(`/proc/${pid}/root/tmp/planted`),
  },
  {
    name: 'copies of the mount table: read',
    group,
    tries:
      'makes mount namespaces of its own while the task is set up, and looks into their mounts',
    stoppedBy: CLOSED,
    prepare: giveSecret,
    stranger: { mode: 'copy-mounts', what: secretOf },
    open: { overlay: true },
    program: HOLD,
    judgeAfter: knowsSecret,
  },
  {
    name: 'copies of the mount table: keep',
    group,
    tries:
      'keeps a task’s filesystems mounted in such a namespace when they are not mounted on the host any more',
    stoppedBy: 'mount points are removed, which detaches every copy',
    stranger: { mode: 'copy-mounts', what: secretOf },
    open: { overlay: true },
    program: 'true',
    judge: keepsMounts,
    judgeAfter: keepsMounts,
  },
];

const rights: readonly Probe[] = [
  {
    name: 'a setuid program of the image',
    group,
    tries: 'runs one while the image is mounted, and leaves a file with its rights',
    stoppedBy: `${CLOSED}; the root filesystem is \`nosuid\``,
    prepare: makeOpenFolder,
    stranger: { mode: 'run-setuid', what: openFolder },
    program: 'true',
    judgeAfter: hadRightsOfOthers,
  },
  {
    name: 'a setuid program of the image, with the host’s ids',
    group,
    tries: 'the same of a task with `--userns host`, whose root is root of the host',
    stoppedBy: `${CLOSED}; the root filesystem is \`nosuid\``,
    task: { userns: 'host' },
    prepare: makeOpenFolder,
    stranger: { mode: 'run-setuid', what: openFolder },
    program: 'true',
    judgeAfter: hadRightsOfOthers,
  },
  {
    name: 'a setuid program that a task leaves',
    group,
    tries: 'runs it in a folder that the task was given, and leaves a file with its rights',
    stoppedBy: 'binds are id-mapped: it belongs to an id of neither root nor a task',
    prepare(scene) {
      makeOpenFolder(scene);
      scene.bind('shared', '/shared');
    },
    stranger: { mode: 'run-setuid', what: openFolder, where: (scene) => [scene.path('shared')] },
    program:
      'mkdir /shared/bin; cp /bin/probe /shared/bin/probe-setuid; chmod 4755 /shared/bin/probe-setuid',
    judgeAfter: (_, scene) => ownersOfLeft(scene).some((uid) => uid === 0 || isReservedId(uid)),
  },
  {
    name: 'a node of a disk',
    group,
    tries: 'writes to a disk of root’s that the task may only read, by the task’s node of it',
    stoppedBy: `${CLOSED}; the nodes’ filesystem is open to that task’s root alone`,
    prepare: giveDisk,
    stranger: { mode: 'write-node', what: numberOfDisk },
    program: 'true',
    judgeAfter: isDiskOverwritten,
  },
  {
    name: 'a node of a disk, with the host’s ids',
    group,
    tries: 'the same of a task with `--userns host`',
    stoppedBy: CLOSED,
    task: { userns: 'host' },
    prepare: giveDisk,
    stranger: { mode: 'write-node', what: numberOfDisk },
    program: 'true',
    judgeAfter: isDiskOverwritten,
  },
];

/** The user id of the task's command equals the stranger's id on the host. */
const sameNumber = { user: STRANGER_ID } as const;

const ids: readonly Probe[] = [
  {
    name: 'a user of the same number: environment',
    group,
    tries: 'reads the environment of a task whose user has its number',
    stoppedBy: OWN_IDS,
    task: sameNumber,
    prepare: giveSecret,
    stranger: { mode: 'processes', what: secretOf },
    program: 'true',
    judgeAfter: knowsSecret,
  },
  {
    name: 'a user of the same number: files',
    group,
    tries: 'reads the task’s files below `/proc/PID/root`',
    stoppedBy: OWN_IDS,
    task: { ...sameNumber, tmpfs: ['/tmp'] },
    prepare: giveSecret,
    stranger: { mode: 'processes', what: (scene) => `written ${scene.secret}` },
    program: 'echo "written $HELD" > /tmp/held',
    judgeAfter: (_, scene) => scene.strangerKnows().includes(`written ${scene.secret}`),
  },
  {
    name: 'a user of the same number: signals',
    group,
    tries: 'kills the task’s processes',
    stoppedBy: OWN_IDS,
    task: sameNumber,
    prepare(scene) {
      scene.env['MARK'] = scene.secret;
    },
    stranger: { mode: 'kill', what: secretOf },
    program: 'exec probe wait $MARK',
    judge: ({ pid }) => pid === undefined || readProcess(pid)?.comm !== 'probe',
  },
  {
    name: 'a user of the same number: a shared folder',
    group,
    tries: 'reads what the task keeps to itself (mode 0600) in a folder of both',
    stoppedBy: 'binds are id-mapped: it belongs to another user',
    task: sameNumber,
    prepare(scene) {
      giveSecret(scene);
      scene.bind('shared', '/shared');
    },
    stranger: { mode: 'hunt', what: secretOf, where: (scene) => [scene.path('shared')] },
    program: 'umask 077; echo $HELD > /shared/held',
    judgeAfter: knowsSecret,
  },
];

export const strangerProbes: readonly Probe[] = [
  ...filesOfTasks,
  ...throughTime,
  ...rights,
  ...ids,
];
