/** What a step of a Dockerfile tries on the host, and what other users see of a running build. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitUntil } from '../../support/timing/wait-until.ts';
import {
  buildNaively,
  giveToStranger,
  naiveCommand,
  naiveHasLoot,
  openBuildPlace,
  runAsStranger,
  startAsStranger,
  writeStack,
} from '../support/build-scene.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { toVerdict } from '../support/probe.ts';

const group = 'folders that are built';
const shownOn = 'buildah with its isolation `chroot`';

interface StepAttack extends Pick<HostProbe, 'name' | 'tries' | 'stoppedBy'> {
  /** Writes the folder of the stack `victim`, whose steps write the scene's secret to `/loot` if they succeed. */
  readonly lay: (scene: HostProbeScene) => string;
}

const toProbe = ({ lay, ...texts }: StepAttack): HostProbe => ({
  ...texts,
  group,
  shownOn,
  attack: async (scene) => {
    const folder = lay(scene);
    const place = openBuildPlace(scene);
    await place.build(folder);
    return toVerdict(await place.hasLoot('victim'));
  },
  proof: async (scene) => {
    await buildNaively(scene, lay(scene));
    return toVerdict(naiveHasLoot(scene));
  },
});

/** Attaches a device of the probe whose first bytes are the secret. Returns its number. */
function attachSecret(scene: HostProbeScene): number {
  const file = join(scene.folder, 'backing');
  writeFileSync(file, `${scene.secret}\n`.padEnd(1_048_576), { mode: 0o600 });
  const device = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
  scene.defer(() => void execFileSync('losetup', ['--detach', device]));
  return Number(device.slice('/dev/loop'.length));
}

const READ = (device: string) => `RUN dd if=${device} of=/loot bs=512 count=1 || true`;

/** A tar with one device node, from an archive of root. */
function writeNodeTar(scene: HostProbeScene, folder: string, minor: number): void {
  const nodes = join(scene.folder, 'nodes');
  mkdirSync(nodes);
  execFileSync('mknod', ['-m', '0600', `${nodes}/disk`, 'b', '7', String(minor)]);
  execFileSync('tar', ['-C', nodes, '-cf', `${folder}/nodes.tar`, 'disk']);
  rmSync(nodes, { recursive: true });
}

const steps: readonly StepAttack[] = [
  {
    name: 'a step that reads a device of the host',
    tries: 'reads a loop device that is root’s alone below the step’s `/dev`',
    stoppedBy: 'a `/dev` with six harmless devices',
    lay: (scene) => writeStack(scene.folder, 'victim', [READ(`/dev/loop${attachSecret(scene)}`)]),
  },
  {
    name: 'a step with a device node of its archive',
    tries: 'brings a node for a loop device in an archive that the Dockerfile adds, and reads it',
    stoppedBy: 'device rules of the step’s cgroup',
    lay: (scene) => {
      const folder = writeStack(scene.folder, 'victim', ['ADD nodes.tar /', READ('/disk')]);
      writeNodeTar(scene, folder, attachSecret(scene));
      return folder;
    },
  },
  {
    name: 'a step that looks at its builder',
    tries: 'reads the command lines of all processes that it sees, which name folders of the host',
    stoppedBy: 'a pid namespace of each step’s own',
    lay: (scene) =>
      // The secret is where the folder lies on the host.
      writeStack(join(scene.folder, scene.secret), 'victim', ['RUN cat /proc/*/cmdline > /loot']),
  },
  {
    name: 'a step that makes a user namespace',
    tries: 'makes a user namespace, in which it has every capability',
    stoppedBy: 'the seccomp profile of tasks',
    lay: (scene) =>
      writeStack(scene.folder, 'victim', [
        `RUN unshare -U -r sh -c 'echo ${scene.secret} > /loot' || true`,
      ]),
  },
];

/** A build that waits in a step that prints a line; ended when the probe is over. */
async function holdAtStep(
  scene: HostProbeScene,
  child: ChildProcess,
  stop: NodeJS.Signals,
): Promise<void> {
  const ended = once(child, 'close');
  scene.defer(async () => {
    child.kill(stop);
    await ended;
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  }
  const over = ended.then(() => {
    throw new Error(`the build ended before its step: ${said}`);
  });
  await Promise.race([
    waitUntil(() => said.includes(`\n${WAITING}`) || said.includes(` ${WAITING}\n`)),
    over,
  ]);
}

const WAITING = 'it-waits';

interface HeldBuild {
  /** The folders in which the builder works. */
  readonly home: string;
}

/** Looks at a build that waits in its step, in stackshim and in the naive builder. */
const toHeldProbe = (
  texts: Pick<HostProbe, 'name' | 'tries' | 'stoppedBy'>,
  {
    step,
    files,
    look,
  }: {
    readonly step: (scene: HostProbeScene) => string;
    readonly files?: (scene: HostProbeScene) => Readonly<Record<string, string>>;
    readonly look: (scene: HostProbeScene, build: HeldBuild) => boolean;
  },
): HostProbe => {
  const lay = (scene: HostProbeScene) =>
    writeStack(scene.folder, 'victim', [`RUN ${step(scene)}`], files?.(scene));
  return {
    ...texts,
    group,
    shownOn,
    attack: async (scene) => {
      const folder = lay(scene);
      const place = openBuildPlace(scene);
      await holdAtStep(scene, place.start(folder).child, 'SIGTERM');
      return toVerdict(look(scene, { home: `${place.root}/build` }));
    },
    proof: async (scene) => {
      const home = join(scene.folder, 'naive');
      const folder = lay(scene);
      mkdirSync(home);
      // The builder works on a copy of the folder, by default in a new folder.
      execFileSync('cp', ['-R', folder, `${home}/context`]);
      const [program, args] = naiveCommand(scene, `${home}/context`);
      const child = spawn(program, [...args], { stdio: ['ignore', 'pipe', 'pipe'] });
      // unshare(1) accepts no other signal while it waits.
      await holdAtStep(scene, child, 'SIGKILL');
      return toVerdict(look(scene, { home }));
    },
  };
};

/** Host pids of the processes whose command line contains the word. */
const uidsOf = (word: string): readonly number[] =>
  readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (!(args[0]?.endsWith('sleep') && args[1] === word)) return [];
      const uid = /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
      return uid === undefined ? [] : [Number(uid)];
    } catch {
      // The process ended while it was examined.
      return [];
    }
  });

/** A number of seconds that identifies the scene's own process. */
const secondsOf = ({ secret }: HostProbeScene) =>
  String(1_000_000 + Number.parseInt(secret.slice(-6), 16));

function lootOf(scene: HostProbeScene): string {
  const loot = join(scene.folder, 'loot');
  mkdirSync(loot, { recursive: true });
  giveToStranger(loot);
  return loot;
}

const readLoot = (loot: string, secret: string) =>
  readdirSync(loot).some((name) => readFileSync(join(loot, name)).includes(secret));

const held: readonly HostProbe[] = [
  toHeldProbe(
    {
      name: 'a step that is root of the host',
      tries: 'runs as root: here the host looks at which of its ids that is',
      stoppedBy: 'a user namespace with ids that nobody else has',
    },
    {
      step: (scene) => `echo ${WAITING} >&2; exec sleep ${secondsOf(scene)}`,
      look: (scene) => uidsOf(secondsOf(scene)).includes(0),
    },
  ),
  toHeldProbe(
    {
      name: 'a context that others read during a build',
      tries: 'as another local user, reads the copy of the folder while a step runs',
      stoppedBy: 'all that a build makes lies in a folder of mode 0700 from the first moment',
    },
    {
      step: () => `echo ${WAITING} >&2; exec sleep 1000000`,
      files: ({ secret }) => ({ token: `${secret}\n` }),
      look: (scene, { home }) => {
        const loot = lootOf(scene);
        // The folder itself is readable here; only its copy counts.
        chmodSync(join(scene.folder, 'victim'), 0o700);
        runAsStranger(`grep -rhsa secret- '${home}' > '${loot}/found' || true`);
        return readLoot(loot, scene.secret);
      },
    },
  ),
];

const pushed: HostProbe = {
  name: 'layers that others read during a build',
  group,
  tries:
    'as another local user, looks for the layer that the builder writes, and takes a file out of it that only root of a task may read',
  stoppedBy: 'all that a build makes lies in a folder of mode 0700 from the first moment',
  shownOn,
  attack: async (scene) => {
    const folder = layPrivateFile(scene);
    const place = openBuildPlace(scene);
    const loot = lootOf(scene);
    const look = `grep -rhsa secret- '${place.root}/build' >> '${loot}/found'`;
    const looking = await startAsStranger(`while :; do ${look}; done`);
    try {
      await place.build(folder);
    } finally {
      await looking.stop();
    }
    return toVerdict(readLoot(loot, scene.secret));
  },
  proof: async (scene) => {
    const folder = layPrivateFile(scene);
    const loot = lootOf(scene);
    await buildNaively(scene, folder);
    runAsStranger(`grep -rhsa secret- '${scene.folder}/naive/pushed' > '${loot}/found' || true`);
    return toVerdict(readLoot(loot, scene.secret));
  },
};

/** In the folder itself only root can read the secret. */
function layPrivateFile(scene: HostProbeScene): string {
  const lines = ['COPY key /key', 'RUN chmod 600 /key'];
  const folder = writeStack(scene.folder, 'victim', lines, { key: `${scene.secret}\n` });
  chmodSync(folder, 0o700);
  return folder;
}

export const stepProbes: readonly HostProbe[] = [...steps.map(toProbe), ...held, pushed];
