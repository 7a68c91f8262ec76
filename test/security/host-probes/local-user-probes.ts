/** Another local user of the host, who acts before stackshim or where tasks are created. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { errnoCodeOf } from '../../../src/core/errors.ts';
import { isReservedId } from '../../../src/core/host-ids.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { slotIds } from '../../../src/task/admission/slot.ts';
import { runCli, STACKSHIM } from '../../support/cli/run-cli.ts';
import { compileProbes } from '../../support/programs/probe-image.ts';
import {
  AS_STRANGER,
  hasLookedTwice,
  type StrangerMode,
  startStranger,
} from '../../support/programs/stranger.ts';
import { type WatchedProgram, watchProgram } from '../../support/programs/watched-program.ts';
import { waitUntil } from '../../support/timing/wait-until.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { type ProbeVerdict, toVerdict } from '../support/probe.ts';

const group = 'other users of the host';

interface Work {
  readonly mode: StrangerMode;
  readonly what: string;
  readonly folders: readonly string[];
}

async function putToWork({ folder, defer }: HostProbeScene, work: Work): Promise<WatchedProgram> {
  const program = join(folder, 'probe');
  compileProbes(program);
  const stranger = startStranger(program, work);
  defer(async () => {
    stranger.signal('SIGKILL');
    await stranger.ended;
  });
  await stranger.tried;
  return stranger;
}

/** A folder of the scene that every user of the host may write to. */
function openTo(path: string, make: (path: string) => void, mode: number): string {
  make(path);
  chmodSync(path, mode);
  return path;
}

/** Whether a folder that another user made below a `/run/lock` of its own prevents `command` from working. */
async function isBlocked(
  { installation }: HostProbeScene,
  command: string,
  name: string,
): Promise<ProbeVerdict> {
  const script = `mount -t tmpfs -o mode=1777 tmpfs /run/lock
    ${AS_STRANGER.join(' ')} mkdir -m 700 /run/lock/${name} || exit 9
    ${command}`;
  const argv = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script];
  const program = watchProgram(argv, { env: installation.env });
  if ((await program.ended).status === 9) throw new Error('the folder could not be made');
  return toVerdict(program.stdout() !== 'has run\n');
}

/** The owners of the files in a folder. */
const hasLeftAsSlot = (folder: string) =>
  readdirSync(folder).some((name) => isReservedId(statSync(join(folder, name)).uid));

async function joinNamespaces(
  scene: HostProbeScene,
  folders: readonly string[],
): Promise<ProbeVerdict> {
  const left = openTo(join(scene.folder, 'left'), mkdirSync, 0o777);
  const stranger = await putToWork(scene, { mode: 'namespaces', what: left, folders });
  await hasLookedTwice(stranger);
  return toVerdict(hasLeftAsSlot(left));
}

/** A user namespace with a slot's ids that a process of its user made, mounted where every user can reach it. */
async function pinForeignNamespace({ folder, defer }: HostProbeScene): Promise<string> {
  const holder = spawn('setpriv', [
    ...AS_STRANGER.slice(1),
    'unshare',
    '--user',
    '--',
    'sh',
    '-c',
    'echo ready; exec sleep 1000',
  ]);
  const ended = once(holder, 'exit');
  await once(holder.stdout, 'data');
  const map = `0 ${slotIds(4_090).base} 1\n`;
  for (const kind of ['uid', 'gid']) writeFileSync(`/proc/${holder.pid}/${kind}_map`, map);
  const pin = openTo(join(folder, 'pinned'), (path) => writeFileSync(path, ''), 0o644);
  linuxSystem.bindMount(`/proc/${holder.pid}/ns/user`, pin);
  defer(() => void linuxSystem.detachMount(pin));
  holder.kill('SIGKILL');
  await ended;
  return folder;
}

/** The file that a stranger sends to sockets in place of a terminal. */
const takenFile = ({ folder }: HostProbeScene) =>
  openTo(join(folder, 'taken'), (path) => writeFileSync(path, ''), 0o666);

/** Waits at a socket that every user can connect to, and writes the secret to the first terminal that it receives. */
async function tellFirstTerminal({ folder, secret }: HostProbeScene): Promise<void> {
  const path = join(folder, 'tty');
  const socket = linuxSystem.listenUnix(path);
  chmodSync(path, 0o777);
  try {
    const terminal = await waitUntil(() => {
      try {
        return linuxSystem.receiveFd(socket);
      } catch (error) {
        if (errnoCodeOf(error) === 'EAGAIN') return undefined;
        throw error;
      }
    });
    writeSync(terminal, secret);
    closeSync(terminal);
  } finally {
    linuxSystem.close(socket);
  }
}

const TERMINALS = 5;

export const localUserProbes: readonly HostProbe[] = [
  {
    name: 'the folder of locks, made first',
    group,
    tries:
      'makes the folder of a program’s locks below `/run/lock`, which is open to everybody, so that no task can start',
    stoppedBy: 'locks lie in a folder whose parent only root can write to',
    shownOn:
      'a script that keeps its lock below `/run/lock`, and refuses a folder that is not root’s',
    attack: async (scene) =>
      await isBlocked(scene, `${STACKSHIM} run busybox echo has run`, 'stackshim'),
    proof: async (scene) =>
      await isBlocked(
        scene,
        'mkdir -p /run/lock/naive; [ -O /run/lock/naive ] && echo has run',
        'naive',
      ),
  },
  {
    name: 'user namespaces of slots',
    group,
    tries: 'joins a user namespace that is kept mounted, to have the ids of a slot',
    stoppedBy: 'only root reaches them; they belong to root',
    shownOn:
      'a namespace that the user itself has made, which root has given ids and keeps for everybody to open',
    async attack(scene) {
      const { env, layout } = scene.installation;
      await runCli(['run', 'busybox', 'true'], { env });
      return await joinNamespaces(scene, [layout.slots]);
    },
    proof: async (scene) => await joinNamespaces(scene, [await pinForeignNamespace(scene)]),
  },
  {
    name: 'the socket of a terminal',
    group,
    tries: 'sends a file of its own in place of the terminal that a task is to get',
    stoppedBy: 'the socket is root’s, below directories that are',
    shownOn:
      'a server that takes the first terminal that it is sent, at a socket that is open to everybody',
    async attack(scene) {
      const { env, layout } = scene.installation;
      const what = takenFile(scene);
      await putToWork(scene, { mode: 'sockets', what, folders: [layout.run] });
      let isDisturbed = false;
      for (let count = 0; count < TERMINALS; count += 1) {
        const { stdout } = await runCli(['run', '-t', 'busybox', 'echo', scene.secret], { env });
        isDisturbed ||= !stdout.includes(scene.secret);
      }
      return toVerdict(isDisturbed || readFileSync(what, 'utf8') !== '');
    },
    async proof(scene) {
      const what = takenFile(scene);
      const telling = tellFirstTerminal(scene);
      await putToWork(scene, { mode: 'sockets', what, folders: [scene.folder] });
      await telling;
      return toVerdict(readFileSync(what, 'utf8') === scene.secret);
    },
  },
];
