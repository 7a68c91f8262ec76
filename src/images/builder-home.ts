/** The builder's own folders and configuration below `build/`: nothing of the host's container set-up is used or touched. */
import fs from 'fs-extra';
import { buildDir, type Layout, tmpDir } from '../core/layout.ts';
import { guardDisk } from '../layers/guard-disk.ts';
import { ensureDirectory, writeFileAtomic } from '../sys/files.ts';

export interface BuilderHome {
  /** Options that every buildah command starts with. */
  readonly globalOptions: readonly string[];
  readonly signaturePolicy: string;
  readonly env: Readonly<Record<string, string>>;
  /** Folder for this build's files; garbage as soon as no build holds the lock. */
  readonly work: string;
}

const PASSED_ON = [
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
];

/** Only images of this machine are ever read or written, so there is no signature to check. */
const SIGNATURE_POLICY = JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] });

/**
 * Clears what an earlier build left, and lays out a fresh home. Whoever calls holds the build lock.
 * The storage stays: the bases are in it.
 */
export async function prepareBuilderHome(
  layout: Layout,
  hostEnv: Readonly<Record<string, string | undefined>>,
): Promise<BuilderHome> {
  const home = buildDir(layout);
  const work = `${home}/work`;
  await guardDisk(`prepare ${home}`, async () => {
    // The run state counts mounts that went with their namespace; with it gone buildah starts from what is there.
    for (const stale of [work, `${home}/run`]) await fs.remove(stale);
    for (const directory of [home, work, `${work}/tmp`, `${home}/helpers`, tmpDir(layout)]) {
      await ensureDirectory(directory, 0o755);
    }
    await writeConfiguration(home);
  });
  const passedOn = PASSED_ON.flatMap((name) => {
    const value = hostEnv[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    globalOptions: ['--root', `${home}/storage`, '--runroot', `${home}/run`],
    signaturePolicy: `${home}/policy.json`,
    env: {
      ...Object.fromEntries(passedOn),
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: work,
      LC_ALL: 'C.UTF-8',
      TMPDIR: `${work}/tmp`,
      CONTAINERS_CONF: `${home}/containers.conf`,
      CONTAINERS_STORAGE_CONF: `${home}/storage.conf`,
      CONTAINERS_REGISTRIES_CONF: `${home}/registries.conf`,
    },
    work,
  };
}

/** Removes the folder of a build that ended. */
export async function removeBuilderWork(home: BuilderHome): Promise<void> {
  await fs.remove(home.work);
}

async function writeConfiguration(home: string): Promise<void> {
  // buildah looks its network helper up even where every step uses the host's network, and never starts it then.
  const helper = `${home}/helpers/netavark`;
  await fs.remove(helper);
  await fs.ensureSymlink('/bin/false', helper);
  const files = {
    'containers.conf': `[engine]\nhelper_binaries_dir = [${JSON.stringify(`${home}/helpers`)}]\n`,
    'storage.conf': '[storage]\ndriver = "overlay"\n',
    'registries.conf': 'unqualified-search-registries = []\n',
    'policy.json': SIGNATURE_POLICY,
  };
  for (const [name, text] of Object.entries(files)) {
    await writeFileAtomic(`${home}/${name}`, text, { durable: false });
  }
}
