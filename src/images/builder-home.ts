/** One builder's own folder below `build/`, with its storage and configuration: nothing of the host's container set-up is used or touched. */
import { chmod, mkdir } from 'node:fs/promises';
import fs from 'fs-extra';
import { buildDir, type Layout, tmpDir } from '../core/layout.ts';
import { guardDisk } from '../layers/guard-disk.ts';
import { loadTemplate } from '../oci/load-template.ts';
import { PROXY_VARIABLES, pickVariables, SYSTEM_PATH } from '../sys/start-program.ts';
import { ensureClosedFolder } from '../sys/trusted-path.ts';
import { ensureDirectory, writeFileAtomic } from '../sys/write-file.ts';
import { BUILDER_TMP } from './builder-devices.ts';
import type { HeldHome } from './take-builder-home.ts';

export interface BuilderHome {
  /** Options that every buildah command on the build's own storage starts with. */
  readonly globalOptions: readonly string[];
  readonly signaturePolicy: string;
  /** A task's own: what may run in a task may run in a step. */
  readonly seccompProfile: string;
  readonly env: Readonly<Record<string, string>>;
  /** Folder for this build's files; garbage as soon as no build holds the home's lock. */
  readonly work: string;
  /** What the builder finds at {@link BUILDER_TMP}. */
  readonly tmp: string;
}

/** Only images of this machine are ever read or written, so there is no signature to check. */
const SIGNATURE_POLICY = JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] });

/**
 * Lays a fresh home out in a folder that holds nothing yet. From the first moment nobody but root can enter it: the files of an image
 * lie in it, those that only root of a task may read among them.
 */
export async function prepareBuilderHome(
  layout: Layout,
  { folder }: HeldHome,
  hostEnv: Readonly<Record<string, string | undefined>>,
): Promise<BuilderHome> {
  const work = `${folder}/work`;
  const tmp = `${work}/tmp`;
  await guardDisk(`prepare ${folder}`, async () => {
    await ensureDirectory(tmpDir(layout), 0o700);
    for (const path of [buildDir(layout), folder, work]) ensureClosedFolder(path);
    await mkdir(`${folder}/helpers`, { mode: 0o700 });
    await mkdir(tmp, { mode: 0o700 });
    // A step's root, nobody on the host, passes through to its root filesystem. It sees this folder alone, at BUILDER_TMP.
    await chmod(tmp, 0o711);
    await writeConfiguration(folder);
  });
  return {
    globalOptions: ['--root', `${folder}/storage`, '--runroot', `${folder}/run`],
    signaturePolicy: `${folder}/policy.json`,
    seccompProfile: `${folder}/seccomp.json`,
    env: {
      ...pickVariables(PROXY_VARIABLES, hostEnv),
      PATH: SYSTEM_PATH,
      HOME: work,
      LC_ALL: 'C.UTF-8',
      TMPDIR: BUILDER_TMP,
      // Its idmapped mounts lose the ids of what a step writes when the step's image is committed.
      _CONTAINERS_OVERLAY_DISABLE_IDMAP: 'yes',
      CONTAINERS_CONF: `${folder}/containers.conf`,
      CONTAINERS_STORAGE_CONF: `${folder}/storage.conf`,
      CONTAINERS_REGISTRIES_CONF: `${folder}/registries.conf`,
    },
    work,
    tmp,
  };
}

/** Has the builder find images in other storages, which it only reads. */
export async function writeImageStores(
  home: BuilderHome,
  stores: readonly string[],
): Promise<BuilderHome> {
  const path = `${home.work}/storage.conf`;
  const text = `${STORAGE}[storage.options]\nadditionalimagestores = ${JSON.stringify(stores)}\n`;
  await guardDisk(`write ${path}`, () => writeFileAtomic(path, text, { durable: false }));
  return { ...home, env: { ...home.env, CONTAINERS_STORAGE_CONF: path } };
}

const STORAGE = '[storage]\ndriver = "overlay"\n';

async function writeConfiguration(folder: string): Promise<void> {
  // buildah looks its network helper up even where every step uses the host's network, and never starts it then.
  await fs.ensureSymlink('/bin/false', `${folder}/helpers/netavark`);
  const files = {
    'containers.conf': `[engine]\nhelper_binaries_dir = [${JSON.stringify(`${folder}/helpers`)}]\n`,
    'storage.conf': STORAGE,
    'registries.conf': 'unqualified-search-registries = []\n',
    'policy.json': SIGNATURE_POLICY,
    'seccomp.json': JSON.stringify(loadTemplate('default').seccomp),
  };
  for (const [name, text] of Object.entries(files)) {
    await writeFileAtomic(`${folder}/${name}`, text, { durable: false });
  }
}
