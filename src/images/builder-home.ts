/** One builder's own folder below `build/`, with its storage and configuration: nothing of the host's container set-up is used or touched. */
import fs from 'fs-extra';
import { type Layout, tmpDir } from '../core/layout.ts';
import { guardDisk } from '../layers/guard-disk.ts';
import { ensureDirectory, writeFileAtomic } from '../sys/files.ts';
import { PROXY_VARIABLES, pickVariables, SYSTEM_PATH } from '../sys/program-environment.ts';
import type { HeldHome } from './take-builder-home.ts';

export interface BuilderHome {
  /** Options that every buildah command on the build's own storage starts with. */
  readonly globalOptions: readonly string[];
  readonly signaturePolicy: string;
  readonly env: Readonly<Record<string, string>>;
  /** Folder for this build's files; garbage as soon as no build holds the home's lock. */
  readonly work: string;
}

/** Only images of this machine are ever read or written, so there is no signature to check. */
const SIGNATURE_POLICY = JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] });

/** Lays a fresh home out in a folder that holds nothing yet. */
export async function prepareBuilderHome(
  layout: Layout,
  { folder }: HeldHome,
  hostEnv: Readonly<Record<string, string | undefined>>,
): Promise<BuilderHome> {
  const work = `${folder}/work`;
  await guardDisk(`prepare ${folder}`, async () => {
    for (const directory of [`${work}/tmp`, `${folder}/helpers`, tmpDir(layout)]) {
      await ensureDirectory(directory, 0o755);
    }
    await writeConfiguration(folder);
  });
  return {
    globalOptions: ['--root', `${folder}/storage`, '--runroot', `${folder}/run`],
    signaturePolicy: `${folder}/policy.json`,
    env: {
      ...pickVariables(PROXY_VARIABLES, hostEnv),
      PATH: SYSTEM_PATH,
      HOME: work,
      LC_ALL: 'C.UTF-8',
      TMPDIR: `${work}/tmp`,
      CONTAINERS_CONF: `${folder}/containers.conf`,
      CONTAINERS_STORAGE_CONF: `${folder}/storage.conf`,
      CONTAINERS_REGISTRIES_CONF: `${folder}/registries.conf`,
    },
    work,
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
  };
  for (const [name, text] of Object.entries(files)) {
    await writeFileAtomic(`${folder}/${name}`, text, { durable: false });
  }
}
