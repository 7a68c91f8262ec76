/** Copies of runtimes in huge pages, one for each executable and boot: a large program starts faster if the kernel maps 2 MiB at a time. */
import {
  chmodSync,
  copyFileSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  rmdirSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { errnoCodeOf, unlessFailed, unlessMissing } from '../core/errors.ts';
import { ensureDirectorySync, namesIn } from '../sys/files.ts';
import { linuxSystem } from '../sys/linux-system.ts';
import { fdPath, withFd } from '../sys/paths.ts';
import { type Fd, MOUNT_ATTR, makeMount } from '../sys/system.ts';
import { copyFileOf, readKept } from './runtime-version.ts';

const ELF_MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);
/** A smaller program gains nothing; a larger one takes too much memory. */
const MIN_BYTES = 1024 * 1024;
const MAX_BYTES = 128 * 1024 * 1024;
const HUGE_PAGE_BYTES = 2 * 1024 * 1024;

/**
 * Copies the executable at `path`, which only root can change, to `copy`: a file in its own small tmpfs, read-only, that only root can reach. The
 * copy stays until shutdown, or until `gc` finds that the executable was replaced. Returns false if there is no copy: another process is making
 * it, the kernel or memory does not allow it, or the file is a script or changes meanwhile. Blocks for some milliseconds.
 */
export function copyRuntime(path: string, copy: string): boolean {
  const folder = dirname(copy);
  try {
    // A container's root passes through the run folder to its root filesystem.
    ensureDirectorySync(dirname(dirname(folder)), 0o711);
    ensureDirectorySync(dirname(folder), 0o700);
    mkdirSync(folder, { mode: 0o700 });
    return withFd(openSync(path, 'r'), (source) => fillFolder(source, copy));
  } catch (error) {
    // The copy only saves time: a task must not fail because memory or a kernel feature is missing.
    if (errnoCodeOf(error) === undefined) throw error;
    return false;
  }
}

function fillFolder(source: Fd, copy: string): boolean {
  const before = fstatSync(source);
  const head = Buffer.alloc(ELF_MAGIC.length);
  readSync(source, head, 0, head.length, 0);
  const isWanted = before.size >= MIN_BYTES && before.size <= MAX_BYTES && head.equals(ELF_MAGIC);
  if (!isWanted || copyFileOf(dirname(dirname(copy)), before) !== copy) return false;
  const mount = makeTmpfs(before.size);
  try {
    const file = `${fdPath(mount)}/runtime`;
    copyFileSync(fdPath(source), file);
    chmodSync(file, 0o755);
    const after = fstatSync(source);
    const isUnchanged = before.size === after.size && before.mtimeMs === after.mtimeMs;
    if (!isUnchanged || statSync(file).size !== before.size) return false;
    const attributes = MOUNT_ATTR.RDONLY | MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV;
    linuxSystem.restrictMount(mount, attributes, { recursive: false });
    linuxSystem.attachMount(mount, dirname(copy));
    return true;
  } finally {
    linuxSystem.close(mount);
  }
}

/** A detached mount with room for one file. */
const makeTmpfs = (fileBytes: number): Fd =>
  makeMount(linuxSystem, 'tmpfs', {
    settings: [
      ['mode', '0700'],
      ['huge', 'always'],
      // The last huge page is rarely full.
      ['size', String(fileBytes + 2 * HUGE_PAGE_BYTES)],
    ],
    attributes: MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV,
  });

/** Removes copies of executables that are gone or were replaced. Call it after the stored versions of such executables are removed. */
export function clearStaleCopies(copiesDirectory: string, versionsDirectory: string): void {
  const current = new Set<string>();
  for (const name of namesIn(versionsDirectory)) {
    const path = readKept(`${versionsDirectory}/${name}`)?.runtime.path;
    const stats = path === undefined ? undefined : unlessMissing(() => statSync(path));
    if (stats !== undefined) current.add(dirname(copyFileOf(copiesDirectory, stats)));
  }
  for (const name of namesIn(copiesDirectory)) {
    const folder = `${copiesDirectory}/${name}`;
    if (current.has(folder)) continue;
    while (linuxSystem.detachMount(folder));
    // ENOENT: another gc was faster. EBUSY: a task has just mounted its copy there; the next gc removes it.
    unlessFailed(() => rmdirSync(folder), ['ENOENT', 'EBUSY']);
  }
}
