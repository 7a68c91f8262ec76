/** Endless files, FIFOs and devices in place of small files that root reads completely, and folders that others made first. */
import { execFileSync, spawnSync } from 'node:child_process';
import { symlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { startCli } from '../../support/cli/run-cli.ts';
import { scaled } from '../../support/timing/time-scale.ts';
import { openBuildPlace, openFolder, runAsStranger, writeStack } from '../support/build-scene.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { toVerdict } from '../support/probe.ts';

const group = 'folders that are built';
/** The exit status of timeout(1) when it ended the program. */
const ENDED_BY_TIMEOUT = 124;

interface EndlessFile extends Pick<HostProbe, 'name' | 'tries'> {
  /** In the stack's folder. */
  readonly file: string;
  readonly make: (path: string) => void;
}

/** Whether a build with such a file ends by itself. */
const toProbe = ({ file, make, ...texts }: EndlessFile): HostProbe => {
  const lay = (scene: HostProbeScene) => {
    const folder = writeStack(scene.folder, 'victim', []);
    const path = join(folder, file);
    execFileSync('rm', ['-f', path]);
    make(path);
    return { folder, path };
  };
  return {
    ...texts,
    group,
    stoppedBy:
      'opened without waiting and without following links; a regular file of a bounded size',
    shownOn: 'cat',
    attack: async (scene) => {
      const { folder } = lay(scene);
      const through = ['timeout', '--signal=KILL', '--preserve-status', `${scaled(30)}`];
      const { env } = openBuildPlace(scene);
      const { signal, status } = await startCli(['stack', 'build', folder], { env, through }).ended;
      return toVerdict(signal !== null || status === null || status > ENDED_BY_TIMEOUT);
    },
    proof: (scene) => {
      const { path } = lay(scene);
      const { status } = spawnSync('timeout', ['2', 'cat', path], {
        stdio: ['ignore', 'ignore', 'ignore'],
      });
      return Promise.resolve(toVerdict(status === ENDED_BY_TIMEOUT));
    },
  };
};

const files: readonly EndlessFile[] = [
  {
    name: 'a Dockerfile that is a FIFO',
    tries: 'has whoever opens the Dockerfile wait for a writer that never comes',
    file: 'Dockerfile',
    make: (path) => void execFileSync('mkfifo', [path]),
  },
  {
    name: 'a Dockerfile that leads to an endless device',
    tries: 'makes the Dockerfile a link to `/dev/zero`',
    file: 'Dockerfile',
    make: (path) => symlinkSync('/dev/zero', path),
  },
  {
    name: 'a base.json that is an endless device',
    tries: 'makes `base.json` a node for the same device',
    file: 'base.json',
    make: (path) => void execFileSync('mknod', [path, 'c', '1', '5']),
  },
  {
    name: 'a list of what not to copy that leads to an endless device',
    tries: 'makes `.dockerignore`, which the builder reads, a link to `/dev/zero`',
    file: '.dockerignore',
    make: (path) => symlinkSync('/dev/zero', path),
  },
  {
    name: 'a Dockerfile of eight tebibytes',
    tries: 'makes the Dockerfile a file that is all holes, larger than any memory',
    file: 'Dockerfile',
    make: (path) => {
      execFileSync('touch', [path]);
      truncateSync(path, 8 * 1024 ** 4);
    },
  },
];

const CACHE = new URL('../../../scripts/steps/own-folder.mjs', import.meta.url).href;

/** What a program reads from a cache that it checked with `ensure`, one line of code. */
function readCache(scene: HostProbeScene, ensure: (path: string) => readonly string[]): boolean {
  const cache = join(openFolder(scene, 'public'), 'cache');
  runAsStranger(`mkdir '${cache}' && echo ${scene.secret} > '${cache}/kernel'`);
  const [program = '', ...args] = ensure(cache);
  const { stdout } = spawnSync(program, args, { encoding: 'utf8' });
  return stdout.includes(scene.secret);
}

const cacheTaken: HostProbe = {
  name: 'a cache that somebody else made first',
  group,
  tries: 'makes a cache under its usual name before root does, with a kernel to boot in it',
  stoppedBy: 'a cache is used only when it, and all above it, are root’s alone',
  shownOn: '`mkdir -p`',
  attack: (scene) => {
    const script = (path: string) =>
      `import { readFileSync } from 'node:fs';
       import { ensureOwnFolder } from '${CACHE}';
       ensureOwnFolder('${path}');
       console.log(readFileSync('${path}/kernel', 'utf8'));`;
    const ensure = (path: string) => [process.execPath, '--input-type=module', '-e', script(path)];
    return Promise.resolve(toVerdict(readCache(scene, ensure)));
  },
  proof: (scene) => {
    const ensure = (path: string) => ['sh', '-c', `mkdir -p '${path}' && cat '${path}/kernel'`];
    return Promise.resolve(toVerdict(readCache(scene, ensure)));
  },
};

export const endlessFileProbes: readonly HostProbe[] = [...files.map(toProbe), cacheTaken];
