/** Copies the files for a Dockerfile, one by one through descriptors, so that the builder gets the files that were checked and hashed. */
import { createHash, type Hash } from 'node:crypto';
import {
  constants,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { lutimes } from 'node:fs/promises';
import { type WalkedEntry, walkDirectory } from '../packages/walk-directory.ts';
import { guardDisk } from '../sys/guard-disk.ts';
import { withFd } from '../sys/paths.ts';
import type { Fd } from '../sys/system.ts';
import { faultOfEnd } from '../sys/trusted-path.ts';
import {
  type StackFolder,
  toForbiddenLink,
  toUnreadable,
  toUntrustedFolder,
} from './stack-folder.ts';

/** Where the copies are. */
export interface BuildContext {
  readonly directory: string;
  readonly shared: string | undefined;
  /** Lower-case hex sha256 over every file of the folder and of `shared`. */
  readonly filesHash: string;
  /** Every created path; a folder comes before its content. */
  readonly paths: readonly string[];
}

/** The epoch of files of an image without a base: every archive format can represent 1980. */
export const OLDEST_EPOCH = Date.UTC(1980, 0, 1) / 1000;

const MAX_FILES = 10_000;
const MAX_BYTES = 16 * 1024 ** 3;
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const CHUNK_BYTES = 1024 * 1024;
const NOTHING: ReadonlySet<string> = new Set();
/** Files that the builder or stackshim reads by name: a link in their place could lead out of the copy. */
const NEVER_LINKS: ReadonlySet<string> = new Set([
  'Dockerfile',
  'base.json',
  'rootfs.tar',
  '.dockerignore',
  '.containerignore',
  'Dockerfile.dockerignore',
  'Dockerfile.containerignore',
]);

/**
 * Copies a stack's folder and the `shared` folder next to it into `work`, which only root can access. Root must own everything in them, and
 * nobody else may be able to write there. Links in the stack's folder are copied as links; `shared` must not contain links. Throws
 * ERR_STACKSHIM_PATH_UNTRUSTED, ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_DISK_FULL.
 */
export async function copyBuildContext(folder: StackFolder, work: string): Promise<BuildContext> {
  const hash = createHash('sha256');
  const directory = `${work}/context`;
  const stack = folder.path;
  const paths = await copyFolder({ stack, from: stack, to: directory, links: 'keep' }, hash);
  const { shared: from } = folder;
  const shared = from && `${work}/shared`;
  if (from !== undefined && shared !== undefined) {
    paths.push(...(await copyFolder({ stack, from, to: shared, links: 'refuse' }, hash)));
  }
  return { directory, shared, filesHash: hash.digest('hex'), paths };
}

/** Sets the times of all copies to `epoch` (seconds since 1970), so that the time of the checkout does not show. */
export async function setContextTimes(context: BuildContext, epoch: number): Promise<void> {
  await guardDisk(`set times in ${context.directory}`, async () => {
    for (const path of context.paths.toReversed()) await lutimes(path, epoch, epoch);
  });
}

interface Copy {
  /** The folder with the Dockerfile that the copy is for. */
  readonly stack: string;
  readonly from: string;
  readonly to: string;
  readonly links: 'keep' | 'refuse';
}

async function copyFolder(copy: Copy, hash: Hash): Promise<string[]> {
  return await guardDisk(`copy ${copy.from}`, () =>
    withFd(openSync(copy.from, DIRECTORY), async (fd) => {
      const stats = fstatSync(fd);
      requireRootOwned(copy, copy.from, stats);
      makeFolder(copy.to, stats.mode & 0o7777);
      const lines = await copyEntries(copy, fd);
      hash.update(JSON.stringify(['folder', lines.size]));
      for (const name of [...lines.keys()].sort()) hash.update(lines.get(name) ?? '');
      return [copy.to, ...[...lines.keys()].map((name) => `${copy.to}/${name}`)];
    }),
  );
}

/** Resolves to a line for each entry. The line depends on the entry's name, kind, mode and content, not on its times. */
async function copyEntries(copy: Copy, fd: Fd): Promise<ReadonlyMap<string, string>> {
  const { from } = copy;
  const toChanged = () => toUnreadable(from, 'it changed while it was copied');
  const lines = new Map<string, string>();
  let bytes = 0;
  for (const entry of walkDirectory(fd, NOTHING, toChanged)) {
    const name = toName(copy, entry);
    requireRootOwned(copy, `${from}/${name}`, {
      uid: Number(entry.stat.uid),
      // A link's mode has no meaning.
      mode: entry.stat.isSymbolicLink() ? 0 : Number(entry.stat.mode),
    });
    bytes += Number(entry.stat.size);
    if (lines.size >= MAX_FILES) throw toUnreadable(from, `more than ${MAX_FILES} files`);
    if (bytes > MAX_BYTES) throw toUnreadable(from, `larger than ${MAX_BYTES} bytes`);
    lines.set(name, await copyEntry(copy, name, entry));
  }
  return lines;
}

async function copyEntry(
  copy: Copy,
  name: string,
  { fd, stat, linkTarget }: WalkedEntry,
): Promise<string> {
  const [source, target] = [`${copy.from}/${name}`, `${copy.to}/${name}`];
  const mode = Number(stat.mode) & 0o7777;
  if (stat.isSymbolicLink()) {
    if (copy.links === 'refuse' || NEVER_LINKS.has(name)) throw toForbiddenLink(copy.stack, source);
    const link = Buffer.from(linkTarget, 'latin1');
    symlinkSync(link, target);
    return JSON.stringify(['link', name, link.toString('utf8')]);
  }
  if (fd !== undefined && stat.isDirectory()) {
    makeFolder(target, mode);
    return JSON.stringify(['folder', name, mode]);
  }
  if (fd === undefined || !stat.isFile()) throw toUnreadable(source, 'not a file, folder or link');
  return await withFd(openSync(target, 'wx', 0o600), async (to) => {
    const sha256 = await copyContent(fd, to, Number(stat.size), source);
    fchmodSync(to, mode);
    return JSON.stringify(['file', name, mode, sha256]);
  });
}

/** Copies as many bytes as the file had when it was opened. Resolves to their sha256. */
async function copyContent(from: Fd, to: Fd, size: number, source: string): Promise<string> {
  const content = createHash('sha256');
  for (let left = size; left > 0; ) {
    const chunk = Buffer.allocUnsafe(Math.min(left, CHUNK_BYTES));
    const bytes = readSync(from, chunk);
    if (bytes === 0) throw toUnreadable(source, 'it became shorter while it was copied');
    const read = chunk.subarray(0, bytes);
    content.update(read);
    for (let at = 0; at < bytes; ) at += writeSync(to, read, at);
    left -= bytes;
    await new Promise(setImmediate);
  }
  return content.digest('hex');
}

function makeFolder(folder: string, mode: number): void {
  mkdirSync(folder, { mode: 0o700 });
  withFd(openSync(folder, DIRECTORY), (fd) => fchmodSync(fd, mode));
}

function requireRootOwned(
  { stack }: Copy,
  path: string,
  stat: Parameters<typeof faultOfEnd>[1],
): void {
  const fault = faultOfEnd(path, stat);
  if (fault !== undefined) throw toUntrustedFolder(stack, fault);
}

/** Returns the entry's name as text. Refuses names that are not valid UTF-8, which the hash could not distinguish. */
function toName({ from }: Copy, { path }: WalkedEntry): string {
  const bytes = Buffer.from(path, 'latin1');
  const name = bytes.toString('utf8');
  if (Buffer.from(name).equals(bytes)) return name;
  throw toUnreadable(`${from}/${name}`, 'its name is not UTF-8');
}
