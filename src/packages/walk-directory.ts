/** Walks a directory that others may change meanwhile: follows no link, and opens nothing by a path that may lead elsewhere by now. */
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
} from 'node:fs';
import type { ByteString } from '../archive/tar-entry.ts';
import { errnoCodeOf } from '../core/errors.ts';
import { fdPath } from '../sys/paths.ts';
import type { Fd } from '../sys/system.ts';

export interface WalkedEntry {
  /** Relative to the directory. */
  readonly path: ByteString;
  /** From `fd`, if there is one. */
  readonly stat: BigIntStats;
  /** A file or folder, open for reading until the walk continues; undefined for other kinds, which are not opened. */
  readonly fd: Fd | undefined;
  /** A link's target; empty for other kinds. */
  readonly linkTarget: ByteString;
}

/**
 * Yields each entry once, a folder before its content, with names in byte order. The caller closes the open directory `fd`.
 *
 * @param leaveOut Names to skip, with everything below them.
 * @param toChanged Makes the error for an entry that disappeared, or changed its kind, while it was opened.
 * @param path Prefix of the entries' paths.
 */
export function* walkDirectory(
  fd: Fd,
  leaveOut: ReadonlySet<string>,
  toChanged: (path: ByteString) => Error,
  path: ByteString = '',
): Generator<WalkedEntry> {
  // /proc looks a name up in the open folder itself, even if its path leads elsewhere by now.
  const place = fdPath(fd);
  const names = readdirSync(place, { encoding: 'buffer' });
  for (const name of names.map((bytes) => bytes.toString('latin1')).sort()) {
    if (leaveOut.has(name)) continue;
    const entry = openEntry(Buffer.from(`${place}/${name}`, 'latin1'), path + name, toChanged);
    try {
      yield entry;
      if (entry.fd !== undefined && entry.stat.isDirectory()) {
        yield* walkDirectory(entry.fd, leaveOut, toChanged, `${entry.path}/`);
      }
    } finally {
      if (entry.fd !== undefined) closeSync(entry.fd);
    }
  }
}

const OPEN = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

function openEntry(
  place: Buffer,
  path: ByteString,
  toChanged: (path: ByteString) => Error,
): WalkedEntry {
  let fd: Fd | undefined;
  try {
    const stat = lstatSync(place, { bigint: true });
    if (!stat.isDirectory() && !stat.isFile()) {
      const target = stat.isSymbolicLink() ? readlinkSync(place, { encoding: 'buffer' }) : '';
      return { path, stat, fd, linkTarget: target.toString('latin1') };
    }
    fd = openSync(place, OPEN);
    return { path, stat: fstatSync(fd, { bigint: true }), fd, linkTarget: '' };
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    if (GONE.has(errnoCodeOf(error) ?? '')) throw toChanged(path);
    throw error;
  }
}

/** Errors for a name that existed, or was no link, a moment ago. */
const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EINVAL', 'ELOOP', 'ENXIO']);
