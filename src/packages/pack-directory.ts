/** Reads a directory of code as a clean tar. Follows no link and opens nothing by a path that others could change. */
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, readlink } from 'node:fs/promises';
import { type ArchiveCleaner, createArchiveCleaner } from '../layers/archive-cleaner.ts';
import type { ArchiveLimits } from '../layers/archive-limits.ts';
import { toInvalidArchive } from '../layers/archive-policy.ts';
import { type ByteString, type EntryKind, NO_XATTRS, type TarEntry } from '../layers/tar-entry.ts';
import type { CleanCode } from './clean-code.ts';
import { CODE_POLICY } from './code-policy.ts';

const CHUNK_BYTES = 256 * 1024;

/** Names in byte order, so that equal directories give equal tars. `handle` stays the caller's. */
export function packDirectory(handle: FileHandle, limits: ArchiveLimits): CleanCode {
  const cleaner = createArchiveCleaner({ policy: CODE_POLICY, limits });
  const walk: Walk = { cleaner, firstPaths: new Map() };
  async function* clean(): AsyncGenerator<Buffer> {
    cleaner.entry(toEntry('', await handle.stat({ bigint: true })));
    yield* packFolder(walk, handle, '');
    cleaner.end();
    const rest = cleaner.take();
    if (rest !== undefined) yield rest;
  }
  return { tar: clean(), report: () => cleaner.report() };
}

interface Walk {
  readonly cleaner: ArchiveCleaner;
  /** Where a file of several names was met first, by device and inode. */
  readonly firstPaths: Map<string, ByteString>;
}

async function* packFolder(
  walk: Walk,
  folder: FileHandle,
  path: ByteString,
): AsyncGenerator<Buffer> {
  // Through /proc a name is looked up in the open folder itself, wherever its path leads by now.
  const place = `/proc/self/fd/${folder.fd}`;
  const names = await readdir(place, { encoding: 'buffer' });
  for (const name of names.map((bytes) => bytes.toString('latin1')).sort()) {
    if (CODE_POLICY.leaveOutNames.has(name)) continue;
    yield* packEntry(walk, Buffer.from(`${place}/${name}`, 'latin1'), path + name);
    if (walk.cleaner.readyBytes() < CHUNK_BYTES) continue;
    const ready = walk.cleaner.take();
    if (ready !== undefined) yield ready;
  }
}

async function* packEntry(walk: Walk, place: Buffer, path: ByteString): AsyncGenerator<Buffer> {
  const found = await lstat(place, { bigint: true });
  if (!found.isDirectory() && !found.isFile()) {
    const target = found.isSymbolicLink() ? await readlink(place, { encoding: 'buffer' }) : '';
    walk.cleaner.entry({ ...toEntry(path, found), linkTarget: target.toString('latin1') });
    return;
  }
  const handle = await open(
    place,
    constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  );
  try {
    const stat = await handle.stat({ bigint: true });
    if (stat.isDirectory()) {
      walk.cleaner.entry(toEntry(path, stat));
      yield* packFolder(walk, handle, `${path}/`);
    } else {
      yield* packFile(walk, handle, toEntry(path, stat), stat);
    }
  } finally {
    await handle.close();
  }
}

async function* packFile(
  walk: Walk,
  handle: FileHandle,
  entry: TarEntry,
  stat: BigIntStats,
): AsyncGenerator<Buffer> {
  const { cleaner, firstPaths } = walk;
  const identity = `${stat.dev}:${stat.ino}`;
  const first = stat.nlink > 1n ? firstPaths.get(identity) : undefined;
  if (first !== undefined) {
    cleaner.entry({ ...entry, kind: 'hardlink', size: 0, linkTarget: first });
    return;
  }
  if (stat.nlink > 1n) firstPaths.set(identity, entry.path);
  cleaner.entry(entry);
  for (let left = entry.size; left > 0; ) {
    const { buffer, bytesRead } = await handle.read(
      Buffer.allocUnsafe(Math.min(left, CHUNK_BYTES)),
    );
    if (bytesRead === 0) {
      throw toInvalidArchive(CODE_POLICY, 'became shorter while it was read', entry.path);
    }
    cleaner.data(buffer.subarray(0, bytesRead));
    left -= bytesRead;
    if (cleaner.readyBytes() < CHUNK_BYTES) continue;
    const ready = cleaner.take();
    if (ready !== undefined) yield ready;
  }
}

function toEntry(path: ByteString, stat: BigIntStats): TarEntry {
  const kind = kindOf(stat);
  if (kind === undefined) throw toInvalidArchive(CODE_POLICY, 'is a socket', path);
  const nanoseconds = stat.mtimeNs < 0n ? 0n : stat.mtimeNs;
  return {
    kind,
    path: path === '' ? '.' : path,
    mode: Number(stat.mode) & 0o7777,
    uid: 0,
    gid: 0,
    mtime: {
      seconds: Number(nanoseconds / 1_000_000_000n),
      nanoseconds: Number(nanoseconds % 1_000_000_000n),
    },
    size: kind === 'file' ? Number(stat.size) : 0,
    linkTarget: '',
    xattrs: NO_XATTRS,
  };
}

function kindOf(stat: BigIntStats): EntryKind | undefined {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isFIFO()) return 'fifo';
  return stat.isSocket() ? undefined : 'device';
}
