/** The disks of a test VM: Debian (cached by content hash), this checkout, and the data that its installations write. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { findMirror } from './apt-sources.mjs';
import { readOsRelease } from './host-packages.mjs';
import { ensureOwnFolder } from './own-folder.mjs';
import { projectRoot } from './paths.mjs';
import { runProgram } from './run-program.mjs';
import { lendTools, toolSources } from './vm-borrowed-tools.mjs';
import { earlyGuestFiles, guestFiles, guestUnits } from './vm-guest-files.mjs';

/** The cache between runs. Root boots its kernels and disks, so no other user may write to it. */
export const vmCache = process.env.STACKSHIM_VM_CACHE ?? '/var/cache/stackshim/vm';

const provisionScript = `${projectRoot}/scripts/provision-guest.sh`;
const SYSTEM_SIZE = '4G';
const DATA_SIZE = '12G';
const STALE_MS = 24 * 3_600_000;

/**
 * @typedef {object} SystemDisk
 * @property {string} image ext4, labelled `system`
 * @property {string} kernel
 * @property {string} initrd
 */

/**
 * The guest's Debian, made with mmdebstrap unless it is cached.
 * @param {import('./vm-guests.mjs').Guest} guest
 * @returns {Promise<SystemDisk>}
 */
export async function ensureSystemDisk(guest) {
  ensureOwnFolder(vmCache);
  const folder = `${vmCache}/${guest.name}-${hashGuest(guest)}`;
  if (!existsSync(folder)) await makeSystemDisk(guest, folder);
  await utimes(folder, new Date(), new Date());
  await removeStale(guest, folder);
  return {
    image: `${folder}/system.img`,
    kernel: `${folder}/vmlinuz`,
    initrd: `${folder}/initrd.img`,
  };
}

/** A folder for the files of one run, on the cache's filesystem. Removes those of killed runs. */
export async function makeWorkFolder() {
  ensureOwnFolder(vmCache);
  for (const name of await readdir(vmCache)) {
    const pid = /^work-(\d+)-/.exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    await rm(`${vmCache}/${name}`, { recursive: true, force: true });
  }
  const folder = await mkdtemp(`${vmCache}/work-${process.pid}-`);
  // The root of a container, an unknown user on the host, must be able to pass through to its root filesystem.
  await chmod(folder, 0o711);
  return folder;
}

/** @param {import('./vm-guests.mjs').Guest} guest */
function hashGuest(guest) {
  const hash = createHash('sha256').update(
    JSON.stringify([guest, earlyGuestFiles, guestFiles, guestUnits]),
  );
  hash.update(readFileSync(provisionScript)).update(SYSTEM_SIZE);
  if (guest.borrowsTools) for (const file of toolSources()) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 16);
}

/**
 * @param {import('./vm-guests.mjs').Guest} guest
 * @param {string} folder
 */
async function makeSystemDisk(guest, folder) {
  const work = await makeWorkFolder();
  const root = `${work}/root`;
  try {
    await writeFiles(`${work}/early`, earlyGuestFiles);
    await bootstrap(guest, { root, early: `${work}/early` });
    await configure(guest, root);
    const made = `${work}/disk`;
    await mkdir(made);
    for (const [pattern, name] of /** @type {const} */ ([
      ['vmlinuz-', 'vmlinuz'],
      ['initrd.img-', 'initrd.img'],
    ])) {
      const file = readdirSync(`${root}/boot`).find((entry) => entry.startsWith(pattern));
      await cp(`${root}/boot/${file}`, `${made}/${name}`);
    }
    await makeExt4(`${made}/system.img`, { size: SYSTEM_SIZE, label: 'system', root });
    await rename(made, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * @param {import('./vm-guests.mjs').Guest} guest
 * @param {{root: string, early: string}} options `early`: a folder with what is there before the packages
 */
async function bootstrap(guest, { root, early }) {
  const mirror = findMirror(readOsRelease()['VERSION_CODENAME'] ?? '')?.uri;
  const inside = '/tmp/provision-guest.sh';
  const options = [
    '--variant=minbase',
    '--include=ca-certificates',
    // After a power cut the disk is unusable: it is made again.
    '--dpkgopt=force-unsafe-io',
    `--customize-hook=sync-in ${early} /`,
    `--customize-hook=copy-in ${provisionScript} /tmp`,
    `--customize-hook=chroot "$1" sh ${inside} ${guest.packages.join(' ')}`,
    `--customize-hook=rm "$1${inside}"`,
  ];
  // apt's caches and lists have no use in a guest.
  const target = [guest.suite, root, ...(mirror === undefined ? [] : [mirror])];
  // Its mounts end with the namespace, however it ends.
  const apart = ['--mount', '--propagation', 'private', 'mmdebstrap'];
  await runProgram('unshare', [...apart, ...options, ...target], { output: 'capture' });
}

/**
 * @param {import('./vm-guests.mjs').Guest} guest
 * @param {string} root
 */
async function configure(guest, root) {
  await writeFiles(root, guestFiles);
  await writeFile(`${root}/etc/hostname`, 'stackshim-vm\n');
  const systemd = `${root}/etc/systemd/system`;
  for (const [link, target] of Object.entries(guestUnits)) {
    await mkdir(`${systemd}/${link.slice(0, link.lastIndexOf('/'))}`, { recursive: true });
    await symlink(target, `${systemd}/${link}`);
  }
  await mkdir(`${root}/opt/stackshim`, { recursive: true });
  if (guest.borrowsTools) await lendTools(root);
}

/**
 * @param {string} root
 * @param {Readonly<Record<string, string>>} files content by path
 */
async function writeFiles(root, files) {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(`${root}${path.slice(0, path.lastIndexOf('/'))}`, { recursive: true });
    await writeFile(`${root}${path}`, text);
  }
}

/**
 * @param {import('./vm-guests.mjs').Guest} guest
 * @param {string} used
 */
async function removeStale(guest, used) {
  for (const name of await readdir(vmCache)) {
    const path = `${vmCache}/${name}`;
    if (!name.startsWith(`${guest.name}-`) || path === used) continue;
    if (Date.now() - (await stat(path)).mtimeMs < STALE_MS) continue;
    await rm(path, { recursive: true, force: true });
  }
}

/**
 * @param {string} image
 * @param {{size: string, label: string, root: string, features?: readonly string[]}} options
 */
async function makeExt4(image, { size, label, root, features = [] }) {
  const options = ['-q', '-F', '-L', label, ...features, '-d', root, image, size];
  await runProgram('mkfs.ext4', options, { output: 'capture' });
}

/**
 * This checkout with installed packages and builds, read-only.
 * @param {string} image
 */
export async function makeProjectDisk(image) {
  const excluded = ['.git', 'dist/bench'].map((path) => `--exclude-path=${path}`);
  await runProgram('mkfs.erofs', [...excluded, image, projectRoot], { output: 'capture' });
}

/**
 * The guest's writable data: ext4 with project quotas, with the root folder of an installation in it.
 * @param {string} image
 * @param {string} seed folder with its initial content
 */
export async function makeDataDisk(image, seed) {
  const features = ['-O', 'quota,project', '-E', 'quotatype=prjquota'];
  await makeExt4(image, { size: DATA_SIZE, label: 'data', root: seed, features });
}

/** @param {string} file */
export async function readTail(file, lines = 40) {
  if (!existsSync(file)) return '';
  return (await readFile(file, 'utf8')).trimEnd().split('\n').slice(-lines).join('\n');
}
