/** Reads a directory of code as a clean tar. Follows no link, and opens nothing by a path that others could change. */
import { type BigIntStats, fstatSync, read, readSync } from 'node:fs';
import { promisify } from 'node:util';
import type { ArchiveCleaner } from '../archive/archive-cleaner.ts';
import { toInvalidArchive } from '../archive/archive-policy.ts';
import { type ByteString, type EntryKind, NO_XATTRS, type TarEntry } from '../archive/tar-entry.ts';
import type { Fd } from '../sys/system.ts';
import { type CleanCode, CODE_POLICY, toCleanCode } from './code-policy.ts';
import { type WalkedEntry, walkDirectory } from './walk-directory.ts';

const CHUNK_BYTES = 256 * 1024;
/**
 * Entries between two turns of the event loop, which take about a millisecond. A blocking call takes a few microseconds, a pool call ten times
 * that: 100,000 files would take 17 s instead of 2.
 */
const ENTRIES_PER_TURN = 32;

const readLater = promisify(read);

/** Yields names in byte order, so that equal directories give equal tars. The caller closes the open directory `fd`. */
export const packDirectory = (fd: Fd, cleaner: ArchiveCleaner): CleanCode =>
  toCleanCode(cleaner, packEntries(cleaner, fd));

async function* packEntries(cleaner: ArchiveCleaner, fd: Fd): AsyncGenerator<Buffer> {
  cleaner.entry(toEntry('', fstatSync(fd, { bigint: true })));
  const toChanged = (path: ByteString) =>
    toInvalidArchive(CODE_POLICY, 'changed while it was read', path);
  /** The first path of a file with several names, by device and inode. */
  const firstPaths = new Map<string, ByteString>();
  let entries = 0;
  for (const entry of walkDirectory(fd, CODE_POLICY.leaveOutNames, toChanged)) {
    const { path, stat, linkTarget } = entry;
    if (entry.fd !== undefined && stat.isFile()) {
      yield* packFile(cleaner, { ...entry, fd: entry.fd }, firstPaths);
    } else cleaner.entry({ ...toEntry(path, stat), linkTarget });
    yield* takeReady(cleaner);
    entries += 1;
    if (entries % ENTRIES_PER_TURN === 0) await new Promise(setImmediate);
  }
}

function* takeReady(cleaner: ArchiveCleaner): Generator<Buffer> {
  if (cleaner.readyBytes() < CHUNK_BYTES) return;
  const ready = cleaner.take();
  if (ready !== undefined) yield ready;
}

async function* packFile(
  cleaner: ArchiveCleaner,
  { fd, stat, path }: WalkedEntry & { readonly fd: Fd },
  firstPaths: Map<string, ByteString>,
): AsyncGenerator<Buffer> {
  const entry = toEntry(path, stat);
  if (stat.nlink > 1n) {
    const identity = `${stat.dev}:${stat.ino}`;
    const first = firstPaths.get(identity);
    if (first !== undefined) {
      cleaner.entry({ ...entry, kind: 'hardlink', size: 0, linkTarget: first });
      return;
    }
    firstPaths.set(identity, path);
  }
  cleaner.entry(entry);
  for (let left = entry.size; left > 0; ) {
    const chunk = Buffer.allocUnsafe(Math.min(left, CHUNK_BYTES));
    const isSmall = entry.size <= CHUNK_BYTES;
    const bytes = isSmall
      ? readSync(fd, chunk)
      : (await readLater(fd, chunk, 0, chunk.length, null)).bytesRead;
    if (bytes === 0) throw toInvalidArchive(CODE_POLICY, 'became shorter while it was read', path);
    cleaner.data(chunk.subarray(0, bytes));
    left -= bytes;
    yield* takeReady(cleaner);
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
