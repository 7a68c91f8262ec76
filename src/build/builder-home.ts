/** A builder's own folder below `build/`, with storage and configuration. The host's container set-up is neither used nor changed. */
import { chmod, mkdir } from 'node:fs/promises';
import fs from 'fs-extra';
import { buildDir, type Layout, tmpDir } from '../core/layout.ts';
import { loadTemplate } from '../oci/load-template.ts';
import { guardDisk } from '../sys/guard-disk.ts';
import { PROXY_VARIABLES, pickVariables, SYSTEM_PATH } from '../sys/start-program.ts';
import { ensureClosedFolder } from '../sys/trusted-path.ts';
import { ensureDirectory, writeFileAtomic } from '../sys/write-file.ts';
import { BUILDER_TMP } from './builder-devices.ts';
import type { HeldHome } from './take-builder-home.ts';

export interface BuilderHome {
  /** The first options of every buildah command on the build's own storage. */
  readonly globalOptions: readonly string[];
  readonly signaturePolicy: string;
  /** The profile of tasks: a step of a build may do what a task may do. */
  readonly seccompProfile: string;
  readonly env: Readonly<Record<string, string>>;
  /** The folder for this build's files. Garbage as soon as no build holds the home's lock. */
  readonly work: string;
  /** The folder that the builder sees at {@link BUILDER_TMP}. */
  readonly tmp: string;
}

/** The builder only reads and writes images of this machine, so there are no signatures to check. */
const SIGNATURE_POLICY = JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] });

/** Prepares a new home in an empty folder. Only root can ever enter it: it gets files of an image that only a task's root may read. */
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
    // A step's root has no rights on the host, but must reach its root filesystem. It sees only this folder, at BUILDER_TMP.
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
      // With idmapped mounts, containers/storage loses the ids of files that a step writes when it commits the step's image.
      _CONTAINERS_OVERLAY_DISABLE_IDMAP: 'yes',
      CONTAINERS_CONF: `${folder}/containers.conf`,
      CONTAINERS_STORAGE_CONF: `${folder}/storage.conf`,
      CONTAINERS_REGISTRIES_CONF: `${folder}/registries.conf`,
    },
    work,
    tmp,
  };
}

/** Lets the builder find images in other storages, which it only reads. */
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
  // buildah looks up its network helper even if every step uses the host's network, and then never starts it.
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
