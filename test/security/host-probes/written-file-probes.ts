/** Files that root writes where others can write too: links, swapped folders, files and nodes at the path of a result or an archive. */
import { execFileSync, spawn } from 'node:child_process';
import {
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { runCli } from '../../support/cli/run-cli.ts';
import { STRANGER_ID } from '../../support/programs/stranger.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import {
  makeForeignFolder,
  makeKey,
  makeOpenFolder,
  makeVictim,
  NAIVE_INTO,
  NAIVE_REPLACE,
  plantLink,
  runNaive,
} from '../support/host-scene.ts';
import { toVerdict } from '../support/probe.ts';

/** What the attacker prepares before root writes to `path`. */
interface Trap {
  readonly path: string;
  /** Options of `run`, before the stack. */
  readonly options?: readonly string[];
  readonly task?: readonly string[];
  /** Execs the program that writes: `$$` is its pid. */
  readonly through?: string;
  sprung(): boolean;
}

interface WriteProbe extends Pick<HostProbe, 'name' | 'tries' | 'stoppedBy' | 'shownOn'> {
  readonly lay: (scene: HostProbeScene) => Trap;
  readonly writer: keyof typeof writers;
  /** A shell script; the path is `$1`. */
  readonly naive: string;
}

type Writer = (trap: Trap, scene: HostProbeScene) => readonly string[];

const runWith =
  (option: string): Writer =>
  ({ path, options = [], task = ['true'] }) => [
    'run',
    option,
    path,
    ...options,
    'busybox',
    ...task,
  ];

const writers = {
  result: runWith('--result'),
  events: runWith('--events'),
  export: ({ path }: Trap) => ['stack', 'export', 'busybox', path],
  save: ({ path }: Trap, scene: HostProbeScene) => [
    'save',
    path,
    'busybox',
    '--key',
    makeKey(scene),
  ],
} satisfies Record<string, Writer>;

const NAIVE_PID = 'printf record > "$1.$$.tmp" && mv "$1.$$.tmp" "$1"';
const INTO = 'a script that opens the path and writes';
const REPLACE = 'a script that writes beside the path and renames';

const wasChanged =
  (victim: string, { secret }: HostProbeScene) =>
  () =>
    readFileSync(victim, 'utf8') !== secret;

const plantBefore = (victim: string, path: string) =>
  `ln -s ${victim} ${path}.$$.tmp; chown -h ${STRANGER_ID} ${path}.$$.tmp; exec "$@"`;

const probes: readonly WriteProbe[] = [
  {
    name: 'a link under the temporary name of a result',
    tries:
      'a user guesses the name under which root writes a result first, and puts a link to a file of root there',
    stoppedBy: 'the name is random and the file must not exist (O_EXCL, O_NOFOLLOW)',
    shownOn: REPLACE,
    writer: 'result',
    naive: NAIVE_PID,
    lay(scene) {
      const [victim, path] = [makeVictim(scene), `${makeForeignFolder(scene, 'out')}/result.json`];
      return { path, through: plantBefore(victim, path), sprung: wasChanged(victim, scene) };
    },
  },
  {
    name: 'a link in the place of a result',
    tries: 'a user puts a link to a file of root where a result is to be written',
    stoppedBy: 'links are followed only where root made them and nobody else could',
    shownOn: INTO,
    writer: 'result',
    naive: NAIVE_INTO,
    lay(scene) {
      const [victim, path] = [makeVictim(scene), `${makeOpenFolder(scene, 'tmp')}/result.json`];
      plantLink(victim, path);
      return { path, sprung: wasChanged(victim, scene) };
    },
  },
  {
    name: 'a link in the place of the events',
    tries: 'the same for the file of events, which is opened before the task is started',
    stoppedBy: 'links are followed only where root made them; the file is a new one',
    shownOn: INTO,
    writer: 'events',
    naive: NAIVE_INTO,
    lay(scene) {
      const [victim, path] = [makeVictim(scene), `${makeForeignFolder(scene, 'out')}/events`];
      plantLink(victim, path);
      return { path, sprung: wasChanged(victim, scene) };
    },
  },
  {
    name: 'a hard link in the place of the events',
    tries: 'a user gives a file of root a second name, where events are to be written',
    stoppedBy: 'a new file takes the place of the old one, which is not opened',
    shownOn: INTO,
    writer: 'events',
    naive: NAIVE_INTO,
    lay(scene) {
      const [victim, path] = [makeVictim(scene), `${makeForeignFolder(scene, 'out')}/events`];
      linkSync(victim, path);
      return { path, sprung: wasChanged(victim, scene) };
    },
  },
  {
    name: 'a link in the path of a result',
    tries: 'a folder on the way to a result is a link of another user to a folder of root',
    stoppedBy: 'every folder is opened below the one before it, without following links of others',
    shownOn: REPLACE,
    writer: 'result',
    naive: NAIVE_REPLACE,
    lay(scene) {
      const kept = `${scene.folder}/kept`;
      mkdirSync(kept);
      const open = makeForeignFolder(scene, 'out');
      plantLink(kept, `${open}/today`);
      return { path: `${open}/today/victim`, sprung: () => existsSync(`${kept}/victim`) };
    },
  },
  {
    name: 'a link in the path of an archive',
    tries: 'the same for a stack that is exported',
    stoppedBy: 'every folder is opened below the one before it, without following links of others',
    shownOn: REPLACE,
    writer: 'export',
    naive: NAIVE_REPLACE,
    lay(scene) {
      const kept = `${scene.folder}/kept`;
      mkdirSync(kept);
      const open = makeOpenFolder(scene, 'tmp');
      plantLink(kept, `${open}/today`);
      return { path: `${open}/today/victim`, sprung: () => existsSync(`${kept}/victim`) };
    },
  },
  {
    name: 'a link in the place of an archive',
    tries: 'a user puts a link to a file of root where a stack is to be exported',
    stoppedBy: 'links are followed only where root made them and nobody else could',
    shownOn: INTO,
    writer: 'export',
    naive: NAIVE_INTO,
    lay(scene) {
      const [victim, path] = [makeVictim(scene), `${makeOpenFolder(scene, 'tmp')}/stack.tar`];
      plantLink(victim, path);
      return {
        path,
        sprung: () => wasChanged(victim, scene)() || !lstatSync(path).isSymbolicLink(),
      };
    },
  },
  {
    name: 'a result onto a file of another user',
    tries: 'root is told to write a result where another user has a file, in a folder as /tmp',
    stoppedBy: 'only a file of root is replaced',
    shownOn: REPLACE,
    writer: 'result',
    naive: NAIVE_REPLACE,
    lay(scene) {
      const path = `${makeOpenFolder(scene, 'tmp')}/theirs`;
      writeFileSync(path, scene.secret);
      chownSync(path, STRANGER_ID, STRANGER_ID);
      return { path, sprung: wasChanged(path, scene) };
    },
  },
  {
    name: 'a task that can write where its result goes',
    tries:
      'a task plants links for its own result in the folder that is bound to it, for the shim’s pid',
    stoppedBy:
      'a result below a source that the task can write to is refused before the task is started',
    shownOn: `${REPLACE}, after what a task in a container may do there`,
    writer: 'result',
    naive: NAIVE_PID,
    lay(scene) {
      const [victim, folder] = [makeVictim(scene), makeOpenFolder(scene, 'shared', 0o777)];
      const path = `${folder}/result.json`;
      return {
        path,
        options: ['--mount', `type=bind,src=${folder},dst=/w`],
        task: ['touch', '/w/task-ran'],
        through: plantBefore(victim, path),
        sprung: () => wasChanged(victim, scene)() || existsSync(`${folder}/task-ran`),
      };
    },
  },
  {
    name: 'a task that can write where its result goes, by another path',
    tries:
      'the folder of the result is mounted a second time on the host: the paths tell nothing of the bind',
    stoppedBy: 'folders are compared as their filesystem names them, wherever it is mounted',
    shownOn: 'a script that compares the beginnings of two paths, then writes',
    writer: 'result',
    naive: 'case "$1" in "$2"/*) exit 1;; esac; touch "$2/task-ran"; printf record > "$1"',
    lay(scene) {
      const [folder, alias] = [makeOpenFolder(scene, 'shared', 0o777), `${scene.folder}/alias`];
      for (const path of [alias, `${folder}/results`]) mkdirSync(path);
      return {
        path: `${alias}/result.json`,
        options: ['--mount', `type=bind,src=${folder},dst=/w`],
        task: ['touch', '/w/task-ran'],
        through: `mount --bind ${folder}/results ${alias} && exec "$@"`,
        sprung: () => existsSync(`${folder}/task-ran`),
      };
    },
  },
  {
    name: 'a FIFO in the place of an archive',
    tries: 'root exports a stack into a FIFO that it made itself',
    stoppedBy: 'what is no regular file is written to, never replaced',
    shownOn: REPLACE,
    writer: 'export',
    naive: NAIVE_REPLACE,
    lay(scene) {
      const path = `${scene.folder}/fifo`;
      execFileSync('mkfifo', [path]);
      const reader = spawn('cat', [path], { stdio: 'ignore' });
      scene.defer(() => void reader.kill('SIGKILL'));
      return { path, sprung: () => !lstatSync(path).isFIFO() };
    },
  },
  {
    name: 'a device in the place of an archive',
    tries: 'root exports a stack into a device, as it does to /dev/null',
    stoppedBy: 'what is no regular file is written to, never replaced',
    shownOn: REPLACE,
    writer: 'export',
    naive: NAIVE_REPLACE,
    lay(scene) {
      const path = makeNullDevice(scene);
      return { path, sprung: () => !lstatSync(path).isCharacterDevice() };
    },
  },
  {
    name: 'a link to a device in the place of a save',
    tries: 'root saves stacks through a link of its own to a device, as /dev/stdout is one',
    stoppedBy: 'a link of root is followed, and the device is written to',
    shownOn: REPLACE,
    writer: 'save',
    naive: NAIVE_REPLACE,
    lay(scene) {
      const [device, path] = [makeNullDevice(scene), `${scene.folder}/out`];
      symlinkSync(device, path);
      return {
        path,
        sprung: () => !lstatSync(path).isSymbolicLink() || !lstatSync(device).isCharacterDevice(),
      };
    },
  },
];

/** A node of the test in place of /dev/null. */
function makeNullDevice(scene: HostProbeScene): string {
  const path = `${scene.folder}/device`;
  execFileSync('mknod', [path, 'c', '1', '3']);
  return path;
}

const inOwnMounts = (trap: Trap) =>
  trap.through === undefined
    ? undefined
    : ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', trap.through, 'sh'];

function toHostProbe({ lay, writer, naive, ...said }: WriteProbe): HostProbe {
  return {
    ...said,
    group: 'files that root writes',
    async attack(scene) {
      const trap = lay(scene);
      const through = inOwnMounts(trap);
      const command = writers[writer](trap, scene);
      const { env } = scene.installation;
      await runCli(command, { env, ...(through === undefined ? {} : { through }) });
      return toVerdict(trap.sprung());
    },
    proof(scene) {
      const trap = lay(scene);
      const through = inOwnMounts(trap) ?? [];
      const script = [...through, 'sh', '-c', naive, 'sh', trap.path, `${scene.folder}/shared`];
      runNaive('exec "$@"', script);
      return Promise.resolve(toVerdict(trap.sprung()));
    },
  };
}

export const writtenFileProbes: readonly HostProbe[] = probes.map(toHostProbe);
