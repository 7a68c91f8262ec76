/** Reads a directory of code as a clean tar. Follows no link and opens nothing by a path that others could change. */
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  read,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { errnoCodeOf } from '../core/errors.ts';
import { type ArchiveCleaner, createArchiveCleaner } from '../layers/archive-cleaner.ts';
import type { ArchiveLimits } from '../layers/archive-limits.ts';
import { toInvalidArchive } from '../layers/archive-policy.ts';
import { type ByteString, type EntryKind, NO_XATTRS, type TarEntry } from '../layers/tar-entry.ts';
import type { CleanCode } from './clean-code.ts';
import { CODE_POLICY } from './code-policy.ts';

const CHUNK_BYTES = 256 * 1024;
/**
 * Entries between two turns of the event loop, about a millisecond. One blocking call takes a few microseconds,
 * a trip through the thread pool ten times that: 100,000 files would take 17 s instead of 2.
 */
const ENTRIES_PER_TURN = 32;

const readLater = promisify(read);

/** Names in byte order, so that equal directories give equal tars. The open directory `fd` stays the caller's. */
export function packDirectory(fd: number, limits: ArchiveLimits): CleanCode {
  const cleaner = createArchiveCleaner({ policy: CODE_POLICY, limits });
  const walk: Walk = { cleaner, firstPaths: new Map(), entries: 0 };
  async function* clean(): AsyncGenerator<Buffer> {
    cleaner.entry(toEntry('', fstatSync(fd, { bigint: true })));
    yield* packFolder(walk, fd, '');
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
  entries: number;
}

async function* packFolder(walk: Walk, fd: number, path: ByteString): AsyncGenerator<Buffer> {
  // Through /proc a name is looked up in the open folder itself, wherever its path leads by now.
  const place = `/proc/self/fd/${fd}`;
  const names = readdirSync(place, { encoding: 'buffer' });
  for (const name of names.map((bytes) => bytes.toString('latin1')).sort()) {
    if (CODE_POLICY.leaveOutNames.has(name)) continue;
    const opened = openEntry(walk, Buffer.from(`${place}/${name}`, 'latin1'), path + name);
    if (opened !== undefined) yield* packOpened(walk, opened);
    yield* takeReady(walk);
    walk.entries += 1;
    if (walk.entries % ENTRIES_PER_TURN === 0) await new Promise(setImmediate);
  }
}

function* takeReady({ cleaner }: Walk): Generator<Buffer> {
  if (cleaner.readyBytes() < CHUNK_BYTES) return;
  const ready = cleaner.take();
  if (ready !== undefined) yield ready;
}

interface OpenedEntry {
  readonly fd: number;
  readonly stat: BigIntStats;
  readonly path: ByteString;
}

/** Opens a file or folder; anything else has no content and is written at once. */
function openEntry(walk: Walk, place: Buffer, path: ByteString): OpenedEntry | undefined {
  try {
    const found = lstatSync(place, { bigint: true });
    if (!found.isDirectory() && !found.isFile()) {
      const target = found.isSymbolicLink() ? readlinkSync(place, { encoding: 'buffer' }) : '';
      walk.cleaner.entry({ ...toEntry(path, found), linkTarget: target.toString('latin1') });
      return undefined;
    }
    const fd = openSync(
      place,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY,
    );
    return { fd, stat: fstatSync(fd, { bigint: true }), path };
  } catch (error) {
    if (!GONE.has(errnoCodeOf(error) ?? '')) throw error;
    throw toInvalidArchive(CODE_POLICY, 'changed while it was read', path);
  }
}

/** What a name answers with that was there, or was no link, a moment ago. */
const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO']);

async function* packOpened(walk: Walk, opened: OpenedEntry): AsyncGenerator<Buffer> {
  const { fd, stat, path } = opened;
  try {
    if (stat.isDirectory()) {
      walk.cleaner.entry(toEntry(path, stat));
      yield* packFolder(walk, fd, `${path}/`);
    } else {
      yield* packFile(walk, opened);
    }
  } finally {
    closeSync(fd);
  }
}

async function* packFile(walk: Walk, { fd, stat, path }: OpenedEntry): AsyncGenerator<Buffer> {
  const { cleaner, firstPaths } = walk;
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
    yield* takeReady(walk);
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
