/** Files that root takes out of a task, or copies out of it or into it: what the task puts in their place. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { runCli, startCli } from '../../support/cli/run-cli.ts';
import { type CallProbe, put, shell, taskCall, toHostProbe } from '../support/host-attempt.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { makeVictim } from '../support/host-scene.ts';
import { type ProbeVerdict, toVerdict } from '../support/probe.ts';

const group = 'files out of a task';

/** Where the files go. */
function destinationOf({ folder }: HostProbeScene): string {
  const path = join(folder, 'taken');
  mkdirSync(path, { recursive: true });
  return path;
}

interface TakenProbe extends Pick<CallProbe, 'name' | 'tries' | 'stoppedBy' | 'shownOn' | 'judge'> {
  readonly prepare?: CallProbe['prepare'];
  /** A shell script that makes `$R/out` in a tree whose root is `$R`. */
  readonly lay: (scene: HostProbeScene) => string;
  readonly options?: readonly string[];
  /** A shell script that copies `$1/out` to the folder `$2`. */
  readonly naive: string;
}

/** Files that an ended task left, taken by `--output`, and by a program of the host from a folder with the same files. */
const nothing = () => undefined;

function toTakenProbe(given: TakenProbe): HostProbe {
  const { lay, options = [], naive, prepare = nothing, ...probe } = given;
  return toHostProbe({
    ...probe,
    prepare,
    group,
    stackshim: (scene) =>
      taskCall(scene, ['--output', `/out:${destinationOf(scene)}`, ...options], {
        command: ['sh', '-c', `R=; ${lay(scene)}`],
      }),
    naive(scene) {
      const tree = join(scene.folder, 'tree');
      mkdirSync(tree);
      const script = `R=$1; ${lay(scene)}; cd /; ${naive}`;
      return shell(script, tree, destinationOf(scene));
    },
  });
}

const taken = (scene: HostProbeScene, name = 'out') => join(scene.folder, 'taken', name);
const isThere = (path: string) => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/** Whether a regular file of the destination has the secret. */
const hasSecret = (scene: HostProbeScene, name?: string): boolean => {
  const path = taken(scene, name);
  return (
    isThere(path) && lstatSync(path).isFile() && readFileSync(path, 'utf8').includes(scene.secret)
  );
};

const COPIER = 'a program that copies the folder of an ended container';
const SPARSE_BYTES = 2 ** 40;
const FEW_BYTES = 64 * 1024 * 1024;
const MANY = 3_000;
const FEW = 100;

const endedProbes: readonly HostProbe[] = [
  {
    name: 'output: a link to a file of the host',
    tries: 'leaves a link to a file of root’s in the place of its output',
    stoppedBy: 'a link is taken as a link',
    lay: (scene: HostProbeScene) => `ln -s ${scene.folder}/victim $R/out`,
    prepare: (scene: HostProbeScene) => void makeVictim(scene),
    naive: 'cat "$1/out" > "$2/out"',
    judge: (scene: HostProbeScene) => hasSecret(scene),
  },
  {
    name: 'output: a FIFO that nobody writes to',
    tries: 'leaves a FIFO in the place of its output',
    stoppedBy: 'opened without waiting; only regular files, folders and links are taken',
    lay: () => 'mkfifo $R/out',
    naive: 'timeout 3 cp --copy-contents "$1/out" "$2/out"; [ $? != 124 ] || mkdir "$2/held-up"',
    judge: (scene: HostProbeScene) => existsSync(taken(scene, 'held-up')),
  },
  {
    name: 'output: a setuid program',
    tries: 'leaves a setuid program of its root, which would be root’s on the host',
    stoppedBy: 'setuid, setgid and sticky bits are never kept',
    lay: () => 'echo program > $R/out; chmod 6755 $R/out',
    naive: 'cp -p "$1/out" "$2/out"',
    judge: (scene: HostProbeScene) => (statSync(taken(scene)).mode & 0o6000) !== 0,
  },
  {
    name: 'output: a sparse file of a terabyte',
    tries: 'leaves a file that takes nothing in the task, and the whole disk as a copy',
    stoppedBy: 'holes stay holes; what is copied counts',
    lay: () => `truncate -s ${SPARSE_BYTES} $R/out`,
    naive: 'timeout 3 cat "$1/out" | head -c 200000000 > "$2/out"',
    judge: (scene: HostProbeScene) => statSync(taken(scene)).blocks * 512 > FEW_BYTES,
  },
  {
    name: 'output: very many files',
    tries: `leaves ${MANY} files where ${FEW} are allowed`,
    stoppedBy: 'the limit on entries',
    options: ['--output-max-entries', String(FEW)],
    lay: () => `mkdir $R/out; cd $R/out; seq ${MANY} | xargs touch`,
    naive: 'cp -r "$1/out" "$2/out"',
    judge: (scene: HostProbeScene) => readdirSync(taken(scene)).length > FEW,
  },
  {
    name: 'output: a link in the place of an earlier output',
    tries: 'gave a folder link before, and gives a file through it now',
    stoppedBy: 'names are created beneath their folders, never through a link',
    prepare: (scene: HostProbeScene) => {
      makeVictim(scene);
      spawnSync('ln', ['-s', scene.folder, join(destinationOf(scene), 'out')]);
    },
    lay: () => 'mkdir $R/out; echo changed > $R/out/victim',
    naive: 'cp "$1/out/victim" "$2/out/victim"',
    judge: (scene: HostProbeScene) =>
      readFileSync(`${scene.folder}/victim`, 'utf8') !== scene.secret,
  },
].map((probe) => toTakenProbe({ shownOn: COPIER, ...probe }));

const TASK = 'copied';

interface CopyProbe extends Pick<HostProbe, 'name' | 'tries' | 'stoppedBy'> {
  /** A shell script of the task; its root is the root that the host's program finds by its first process. */
  readonly lay: (scene: HostProbeScene) => string;
  /** Arguments of `cp`, with the task as `copied`. */
  readonly cp: (scene: HostProbeScene) => readonly [string, string];
  /** A shell script; the root of the process is `$1`, the scene's folder `$2`. */
  readonly naive: string;
  readonly judge: (scene: HostProbeScene) => boolean;
}

/** A running task, against `stackshim cp` and against a program that goes through `/proc/PID/root`. */
function toCopyProbe({ lay, cp, naive, judge, ...probe }: CopyProbe): HostProbe {
  const prepare = (scene: HostProbeScene) => {
    makeVictim(scene);
    put(scene, 'given', 'changed');
    destinationOf(scene);
  };
  return {
    ...probe,
    group,
    shownOn: 'a program that copies by way of `/proc/PID/root`',
    async attack(scene): Promise<ProbeVerdict> {
      prepare(scene);
      const { env } = scene.installation;
      const script = `R=; ${lay(scene)}; echo tried; sleep 600`;
      const started = startCli(['run', '--name', TASK, 'busybox', 'sh', '-c', script], { env });
      scene.defer(async () => {
        await runCli(['kill', '--stop-timeout', '0', TASK], { env });
        await started.ended;
      });
      await started.printed('tried');
      await runCli(['cp', ...cp(scene)], { env });
      return toVerdict(judge(scene));
    },
    async proof(scene): Promise<ProbeVerdict> {
      prepare(scene);
      const tree = join(scene.folder, 'tree');
      mkdirSync(join(tree, 'bin'), { recursive: true });
      spawnSync('cp', ['/bin/busybox', join(tree, 'bin/sh')]);
      spawnSync('sh', ['-c', `R=${tree}; ${lay(scene)}`]);
      const script = 'echo tried; read line';
      const child = spawn('chroot', [tree, '/bin/sh', '-c', script], {
        stdio: ['pipe', 'pipe', 'ignore'],
      });
      const ended = once(child, 'exit');
      scene.defer(async () => {
        child.stdin.end();
        await ended;
      });
      await once(child.stdout, 'data');
      spawnSync('sh', ['-c', naive, 'sh', `/proc/${child.pid}/root`, scene.folder]);
      return toVerdict(judge(scene));
    },
  };
}

const runningProbes: readonly HostProbe[] = [
  {
    name: 'cp: out through a link to the host',
    tries: 'has a link to a folder of the host on the way to a file that is copied out',
    stoppedBy: 'links are resolved beneath the root of the task',
    lay: ({ folder }: HostProbeScene) => `ln -s ${folder} $R/way`,
    cp: (scene: HostProbeScene): [string, string] => [
      `${TASK}:/way/victim`,
      `${scene.folder}/taken/out`,
    ],
    naive: 'cat "$1/way/victim" > "$2/taken/out"',
    judge: (scene: HostProbeScene) => hasSecret(scene),
  },
  {
    name: 'cp: in through a link to the host',
    tries: 'has a link to a folder of the host on the way to a file that is copied in',
    stoppedBy: 'links are resolved beneath the root of the task',
    lay: ({ folder }: HostProbeScene) => `ln -s ${folder} $R/way`,
    cp: ({ folder }: HostProbeScene): [string, string] => [
      `${folder}/given`,
      `${TASK}:/way/victim`,
    ],
    naive: 'cat "$2/given" > "$1/way/victim"',
    judge: (scene: HostProbeScene) =>
      readFileSync(`${scene.folder}/victim`, 'utf8') !== scene.secret,
  },
  {
    name: 'cp: in onto a link to the host',
    tries: 'has a link to a file of the host where a file is copied to',
    stoppedBy: 'names are created beneath their folders, never through a link',
    lay: ({ folder }: HostProbeScene) => `ln -s ${folder}/victim $R/place`,
    cp: ({ folder }: HostProbeScene): [string, string] => [`${folder}/given`, `${TASK}:/place`],
    naive: 'cat "$2/given" > "$1/place"',
    judge: (scene: HostProbeScene) =>
      readFileSync(`${scene.folder}/victim`, 'utf8') !== scene.secret,
  },
].map(toCopyProbe);

export const takenFileProbes: readonly HostProbe[] = [...endedProbes, ...runningProbes];
