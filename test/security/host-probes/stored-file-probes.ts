/** Another user of the host, and a compromised builder, against what root stores and mounts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import {
  imagesDir,
  layerFile,
  layersDir,
  mountedLayersDir,
  tmpDir,
} from '../../../src/core/layout.ts';
import { importLayer } from '../../../src/store/layers/import-layer.ts';
import { attachLayerFile } from '../../../src/store/layers/mount-layer.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { makeTar } from '../../support/images/small-tar.ts';
import { STRANGER_ID } from '../../support/programs/stranger.ts';
import { waitUntil } from '../../support/timing/wait-until.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { cli, readAs } from '../support/image-scene.ts';
import { type ProbeVerdict, toVerdict } from '../support/probe.ts';

/** Prints every file below `$1` that it can read. */
const READ_ALL = 'find "$1" -type f -exec cat {} + 2>/dev/null; cat "$1"/* 2>/dev/null; true';
/** Prints files by names that others may know: no listing is needed. */
const readNamed = (files: readonly string[]) =>
  files.map((file) => readAs(STRANGER_ID, 'cat "$1" 2>/dev/null', file)).join('');

const filesOf = (folder: string, ending: string) =>
  readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`);

/** A store whose files have the usual modes. */
function layOpen(scene: HostProbeScene, files: readonly string[]): string {
  const place = `${scene.folder}/open`;
  mkdirSync(place);
  chmodSync(place, 0o755);
  for (const [index, file] of files.entries()) {
    copyFileSync(file, `${place}/${index}`);
    chmodSync(`${place}/${index}`, 0o444);
  }
  return place;
}

function toReadProbe(what: {
  readonly name: string;
  readonly tries: string;
  readonly files: (scene: HostProbeScene) => readonly string[];
}): HostProbe {
  return {
    name: what.name,
    group: 'images and layers',
    tries: what.tries,
    stoppedBy: 'files and folders of the store are root’s alone',
    shownOn: 'a store whose files everybody may read',
    attack: (scene) => Promise.resolve(toVerdict(readNamed(what.files(scene)) !== '')),
    proof(scene) {
      const place = layOpen(scene, what.files(scene));
      return Promise.resolve(toVerdict(readAs(STRANGER_ID, READ_ALL, place) !== ''));
    },
  };
}

/** A layer that is mounted where tasks start, with a file that everybody may read. */
async function mountByTask(scene: HostProbeScene): Promise<ProbeVerdict> {
  await cli(scene, 'run', 'busybox', 'true');
  const place = mountedLayersDir(scene.installation.layout);
  const mounted = readdirSync(place).filter((name) => !name.endsWith('.lock'));
  return toVerdict(readNamed(mounted.map((name) => `${place}/${name}/etc/passwd`)) !== '');
}

function mountInTheOpen(scene: HostProbeScene): Promise<ProbeVerdict> {
  const { layout } = scene.installation;
  // Other probes have stored layers without this file.
  const places = filesOf(layersDir(layout), '.erofs').map((file, index) => {
    const place = `${scene.folder}/mounted-${index}`;
    mkdirSync(place);
    attachLayerFile(linuxSystem, file, place);
    scene.defer(() => void linuxSystem.detachMount(place));
    return place;
  });
  const files = places.map((place) => `${place}/etc/passwd`);
  return Promise.resolve(toVerdict(readNamed(files) !== ''));
}

/** The store of an older version, then a task of this version. */
async function readAfterUpgrade(
  scene: HostProbeScene,
  upgrade: () => Promise<unknown>,
): Promise<ProbeVerdict> {
  const { layout } = scene.installation;
  chmodSync(layout.root, 0o755);
  for (const folder of [layersDir(layout), imagesDir(layout)]) {
    chmodSync(folder, 0o755);
    for (const name of readdirSync(folder)) chmodSync(`${folder}/${name}`, 0o644);
  }
  await upgrade();
  const seen = readNamed([
    ...filesOf(layersDir(layout), '.erofs'),
    ...filesOf(imagesDir(layout), '.json'),
  ]);
  const isNarrow = filesOf(imagesDir(layout), '.json').every(
    (path) => (statSync(path).mode & 0o77) === 0,
  );
  await cli(scene, 'run', 'busybox', 'true');
  return toVerdict(seen !== '' || !isNarrow);
}

/** Opens `$1` for writing, prints a line, and writes to it when told. Runs until its input ends. */
const KEEP_OPEN =
  'exec 3<>"$1" && echo open || echo shut; read -r go; printf altered >&3; echo done; read -r end';

interface Keeper {
  readonly child: ChildProcess;
  /** The next line; undefined at the end. */
  line(): Promise<string | undefined>;
  tell(): void;
}

function keepOpen(user: number, path: string): Keeper {
  const ids = [`--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
  const child = spawn('setpriv', [...ids, 'sh', '-c', KEEP_OPEN, 'sh', path], {
    stdio: ['pipe', 'pipe', 'ignore'],
    cwd: '/',
  });
  child.stdin.on('error', () => undefined);
  const lines = child.stdout.setEncoding('utf8')[Symbol.asyncIterator]();
  return {
    child,
    async line() {
      const { value } = await lines.next();
      return value as string | undefined;
    },
    tell: () => void child.stdin.write('\n'),
  };
}

async function dismiss({ child }: Keeper): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Imports a layer, and calls `meanwhile` with the partly written file after half of the tar. */
async function importWatched(scene: HostProbeScene, meanwhile: (image: string) => Promise<void>) {
  const { layout } = scene.installation;
  const tar = makeTar([{ path: 'file', content: Buffer.alloc(300_000, scene.secret) }]);
  async function* slowly() {
    yield tar.subarray(0, 150_000);
    const find = () =>
      readdirSync(tmpDir(layout))
        .filter((name) => name.endsWith('.build'))
        .map((name) => `${tmpDir(layout)}/${name}/image.erofs`)
        .find((path) => existsSync(path));
    await waitUntil(() => find() !== undefined);
    await meanwhile(find() ?? '');
    yield tar.subarray(150_000);
  }
  return await importLayer(slowly(), { layout, system: linuxSystem, compression: 'none' });
}

const isAltered = (file: string, sha256: string) =>
  createHash('sha256').update(readFileSync(file)).digest('hex') !== sha256;

/** Whether a process that had the file open while it was written can change what was stored. */
async function alterStored(
  scene: HostProbeScene,
  userOf: (image: string) => number,
): Promise<ProbeVerdict> {
  let keeper: Keeper | undefined;
  const { record } = await importWatched(scene, async (image) => {
    keeper = keepOpen(userOf(image), image);
    await keeper.line();
  });
  keeper?.tell();
  await keeper?.line();
  const altered = isAltered(layerFile(scene.installation.layout, record.id), record.id);
  if (keeper !== undefined) await dismiss(keeper);
  return toVerdict(altered);
}

/** Adopts the file unchanged: another owner, mode and name, the same inode. */
async function alterTakenOver(scene: HostProbeScene, user: number): Promise<ProbeVerdict> {
  const image = `${scene.folder}/image`;
  writeFileSync(image, 'content');
  chownSync(image, user, user);
  const keeper = keepOpen(user, image);
  await keeper.line();
  chownSync(image, 0, 0);
  chmodSync(image, 0o400);
  renameSync(image, `${scene.folder}/stored`);
  keeper.tell();
  await keeper.line();
  await dismiss(keeper);
  const sha256 = createHash('sha256').update('content').digest('hex');
  return toVerdict(isAltered(`${scene.folder}/stored`, sha256));
}

const NOBODY = 65_534;
const ownerOf = (path: string) => statSync(path).uid;

async function stayBehind(scene: HostProbeScene): Promise<ProbeVerdict> {
  let keeper: Keeper | undefined;
  await importWatched(scene, async (image) => {
    keeper = keepOpen(ownerOf(image), image);
    await keeper.line();
  });
  return await hasStayed(keeper);
}

async function hasStayed(keeper: Keeper | undefined): Promise<ProbeVerdict> {
  keeper?.tell();
  const isThere = (await keeper?.line())?.includes('done') === true;
  if (keeper !== undefined) await dismiss(keeper);
  return toVerdict(isThere);
}

/** Runs the builder, and resolves when it has ended. */
async function buildAndForget(scene: HostProbeScene): Promise<ProbeVerdict> {
  const image = `${scene.folder}/image`;
  writeFileSync(image, '');
  chownSync(image, NOBODY, NOBODY);
  const keeper = keepOpen(NOBODY, image);
  await keeper.line();
  readAs(NOBODY, 'printf image > "$1"', image);
  return await hasStayed(keeper);
}

const BUILDER = {
  group: 'images and layers',
  shownOn: 'a program that takes the builder’s file over by chown and rename',
} as const;

export const storedFileProbes: readonly HostProbe[] = [
  toReadProbe({
    name: 'files of an image in its stored layer',
    tries: 'reads `layers/*.erofs` as another user, by name',
    files: ({ installation }) => filesOf(layersDir(installation.layout), '.erofs'),
  }),
  toReadProbe({
    name: 'what is known of a layer',
    tries: 'reads `layers/*.json` as another user, by name',
    files: ({ installation }) => filesOf(layersDir(installation.layout), '.json'),
  }),
  toReadProbe({
    name: 'the environment of an image',
    tries: 'reads `ENV` in `images/*.json` as another user, by name',
    files: ({ installation }) => filesOf(imagesDir(installation.layout), '.json'),
  }),
  toReadProbe({
    name: 'which stacks there are, and from where',
    tries: 'reads revisions and generations as another user, by name',
    files: ({ installation: { layout } }) => [
      `${layout.root}/stacks/busybox/1.json`,
      `${layout.root}/generations/1.json`,
    ],
  }),
  {
    name: 'files of an image where its layer is mounted',
    group: 'images and layers',
    tries: 'reads `/etc/passwd` of a layer that a task has had mounted, as another user',
    stoppedBy: 'the folder of mounted layers is root’s alone',
    shownOn: 'a mount below a folder that everybody may pass through',
    attack: mountByTask,
    proof: mountInTheOpen,
  },
  {
    name: 'what an older version stored',
    group: 'images and layers',
    tries: 'reads layers and images that were stored with modes 0644, after a task was run',
    stoppedBy: 'what is stored is narrowed when an installation is opened',
    shownOn: 'a store that nobody looks after',
    attack: (scene) => readAfterUpgrade(scene, () => cli(scene, 'run', 'busybox', 'true')),
    proof: (scene) => readAfterUpgrade(scene, () => Promise.resolve()),
  },
  {
    ...BUILDER,
    name: 'a stored layer, through a descriptor of nobody’s',
    tries:
      'opens the file that `mkfs.erofs` writes as user 65534, and writes to it once it is stored',
    stoppedBy: 'the builder’s id is nobody else’s',
    attack: (scene) => alterStored(scene, () => NOBODY),
    proof: (scene) => alterTakenOver(scene, NOBODY),
  },
  {
    ...BUILDER,
    name: 'a stored layer, through a descriptor of the builder’s',
    tries: 'the same as the builder itself would, with its own id',
    stoppedBy: 'what is stored is a copy that the builder never had open',
    attack: (scene) => alterStored(scene, ownerOf),
    proof: (scene) => alterTakenOver(scene, STRANGER_ID),
  },
  {
    ...BUILDER,
    name: 'a process that outlives its builder',
    tries: 'stays when the builder whose id it has is done',
    stoppedBy: 'every process of the builder’s id is ended',
    shownOn: 'a program that waits for its builder only',
    attack: stayBehind,
    proof: buildAndForget,
  },
];
