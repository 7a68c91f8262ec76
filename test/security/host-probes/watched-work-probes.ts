/** Another local user who reads along while root works on images: what is unpacked, compared and tried lies in files for a moment. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startRegistry } from '../../support/images/loopback-registry.ts';
import { makeTar } from '../../support/images/small-tar.ts';
import { compileProbes } from '../../support/programs/probe-image.ts';
import { hasLookedTwice, startStranger } from '../../support/programs/stranger.ts';
import { runProgram } from '../support/build-scene.ts';
import { put, putFolder } from '../support/host-attempt.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { asNamed, cli, stackOf, writeDockerArchive, writeLayout } from '../support/image-scene.ts';
import { type ProbeVerdict, toVerdict } from '../support/probe.ts';

const group = 'other users of the host';
/** The user may look at a bad moment. */
const TIMES = 3;
const BALLAST_BYTES = 4_000_000;

interface WatchedWork extends Pick<HostProbe, 'name' | 'tries' | 'shownOn'> {
  /** Calls of the executable, one after another: arguments. They must succeed. */
  readonly calls: (scene: HostProbeScene) => Promise<readonly (readonly string[])[]>;
  /** A shell script without protection, which works in the folder `$1`; resolves to its further arguments. */
  readonly naive: string;
  readonly args: (scene: HostProbeScene) => readonly string[] | Promise<readonly string[]>;
}

/** Lets the user read whatever appears in `folders` while `work` is done; resolves to whether the user found the secret. */
async function watch(
  scene: HostProbeScene,
  folders: readonly string[],
  work: () => Promise<void>,
): Promise<ProbeVerdict> {
  const program = join(scene.folder, 'probe');
  compileProbes(program);
  const stranger = startStranger(program, { mode: 'hunt', what: scene.secret, folders });
  scene.defer(async () => {
    stranger.signal('SIGKILL');
    await stranger.ended;
  });
  await stranger.tried;
  await work();
  await hasLookedTwice(stranger);
  return toVerdict(stranger.stdout().includes('found in'));
}

async function call(scene: HostProbeScene, args: readonly string[]): Promise<void> {
  const { status, stderr } = await cli(scene, ...args);
  if (status !== 0) throw new Error(`${args.slice(0, 2).join(' ')}: ${stderr}`);
}

const toHostProbe = ({ calls, naive, args, ...described }: WatchedWork): HostProbe => ({
  ...described,
  group,
  stoppedBy: 'what is not finished lies in directories of root alone',
  async attack(scene) {
    const { root, run } = scene.installation.layout;
    const planned = await calls(scene);
    return await watch(scene, [root, run], async () => {
      for (const one of planned) await call(scene, one);
    });
  },
  async proof(scene) {
    const work = putFolder(scene, 'work');
    const given = await args(scene);
    const script = `umask 022; ${naive}`;
    return await watch(scene, [work], async () => {
      await runProgram('sh', ['-ec', script, 'sh', work, ...given]);
    });
  },
});

/** A folder that only root can enter. */
function privateFolder({ folder }: HostProbeScene, name: string): string {
  const path = join(folder, name);
  mkdirSync(path, { mode: 0o700 });
  return path;
}

/** Two layers that no store has yet: a file of mode 0600 with the secret, and something that takes time. */
const freshLayers = ({ secret }: HostProbeScene, turn: number) =>
  [
    makeTar([{ path: 'private', mode: 0o600, content: `${secret} ${turn}\n` }]),
    makeTar([{ path: 'ballast', content: randomBytes(BALLAST_BYTES) }]),
  ].map(asNamed);

const turns = Array.from({ length: TIMES }, (_, turn) => turn);

async function writeArchive(scene: HostProbeScene, turn: number): Promise<string> {
  const file = `${privateFolder(scene, `archive-${turn}`)}/image.tar`;
  await writeDockerArchive(file, freshLayers(scene, turn));
  return `docker-archive:${file}`;
}

/** A registry with one image for each turn; resolves to their references. */
async function fillRegistry(scene: HostProbeScene): Promise<readonly string[]> {
  const hidden = privateFolder(scene, 'registry');
  const registry = await startRegistry(hidden);
  scene.defer(() => registry.close());
  const references: string[] = [];
  for (const turn of turns) {
    await writeLayout(`${hidden}/${turn}`, freshLayers(scene, turn));
    const reference = `docker://${registry.host}/image:${turn}`;
    const copy = ['copy', '--dest-tls-verify=false', `oci:${hidden}/${turn}`, reference];
    await runProgram('skopeo', ['--insecure-policy', ...copy]);
    references.push(reference);
  }
  return references;
}

/** A kept task with the secret in a file of mode 0600. */
async function keepTask(scene: HostProbeScene): Promise<string> {
  const id = stackOf(scene, 'kept');
  const script = `umask 077; echo ${scene.secret} > /key; head -c ${BALLAST_BYTES} /dev/urandom > /ballast`;
  await call(scene, ['run', '--keep', '--name', id, 'busybox', 'sh', '-c', script]);
  scene.defer(async () => void (await cli(scene, 'kill', id)));
  return id;
}

/** A folder like a kept task's, which only root can enter. */
function keepFolder(scene: HostProbeScene): string {
  const upper = privateFolder(scene, 'upper');
  put(scene, 'upper/key', scene.secret, { mode: 0o600 });
  execFileSync('chmod', ['700', upper]);
  return upper;
}

/** What the smoke task leaves in its `/tmp` while it runs. */
const smoke = ({ secret }: HostProbeScene) => `echo ${secret} > /tmp/held; sleep 1`;

export const watchedWorkProbes: readonly HostProbe[] = [
  toHostProbe({
    name: 'a commit, watched',
    tries:
      'reads along while a task’s files become a revision, to have a file that is root’s alone',
    shownOn: '`tar` as it is, which writes the layer to a folder that everybody may enter',
    async calls(scene) {
      const id = await keepTask(scene);
      return turns.map(() => ['stack', 'commit', id, stackOf(scene, 'commit')]);
    },
    naive: 'tar -C "$2" -cf "$1/layer.tar" .',
    args: (scene) => [keepFolder(scene)],
  }),
  toHostProbe({
    name: 'a comparison of stacks, watched',
    tries: 'reads along while two revisions are compared, to have a file that is root’s alone',
    shownOn: 'a script that writes the files of both revisions as tars and compares them',
    async calls(scene) {
      const name = stackOf(scene, 'diff');
      for (const turn of [0, 1]) {
        await call(scene, ['stack', 'import', name, await writeArchive(scene, turn)]);
      }
      return turns.map(() => ['stack', 'diff', '--files', name]);
    },
    naive: 'for tar in one other; do tar -C "$2" -cf "$1/$tar" .; done; cmp "$1/one" "$1/other"',
    args: (scene) => [keepFolder(scene)],
  }),
  toHostProbe({
    name: 'an import of an archive, watched',
    tries:
      'reads along while an archive is unpacked and stored, to have a file that is root’s alone',
    shownOn: '`skopeo copy` into a folder that everybody may enter',
    calls: async (scene) =>
      await Promise.all(
        turns.map(async (turn) => [
          ...['stack', 'import', stackOf(scene, 'archive'), await writeArchive(scene, turn)],
        ]),
      ),
    naive: 'skopeo --insecure-policy copy "$2" "dir:$1/image"',
    args: async (scene) => [await writeArchive(scene, 0)],
  }),
  toHostProbe({
    name: 'an import from a registry, watched',
    tries: 'reads along while an image is fetched and stored, to have a file that is root’s alone',
    shownOn: '`skopeo copy` into a folder that everybody may enter',
    calls: async (scene) =>
      (await fillRegistry(scene)).map((reference) => [
        ...['stack', 'import', '--tls-verify=false', stackOf(scene, 'registry'), reference],
      ]),
    naive:
      'skopeo --insecure-policy copy --src-tls-verify=false --dest-decompress "$2" "dir:$1/image"',
    args: async (scene) => (await fillRegistry(scene)).slice(0, 1),
  }),
  toHostProbe({
    name: 'a smoke task, watched',
    tries: 'reads a file in the `/tmp` of the task that tries a new image',
    shownOn: '`chroot` into an unpacked image in a folder that everybody may enter',
    calls: async (scene) => [
      [
        ...['stack', 'import', '--smoke', JSON.stringify(['sh', '-c', smoke(scene)])],
        ...[stackOf(scene, 'smoke'), await writeArchive(scene, 0)],
      ],
    ],
    naive: `mkdir -p "$1/rootfs/bin" "$1/rootfs/tmp"; cp /bin/busybox "$1/rootfs/bin"
      chroot "$1/rootfs" /bin/busybox sh -c "$2"`,
    args: (scene) => [smoke(scene).replace('sleep', '/bin/busybox sleep')],
  }),
];
