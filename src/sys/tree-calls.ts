/**
 * Calls to walk a tree that others made and may still change: opens each name beneath its open folder and follows no link. Names are bytes as
 * Latin-1 characters, because they need not be UTF-8.
 */
import { constants } from 'node:fs';
import type { UserIds } from '../core/mount.ts';
import { invoke, invokeUnless } from './invoke.ts';
import { linuxFiles, openHow, RESOLVE, SYS_OPENAT2 } from './linux-files.ts';
import { entryOf, O_PATH } from './paths.ts';
import type { Fd } from './system.ts';

const AT_EMPTY_PATH = 0x1000;
const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;

/** Flags to open an entry for reading without waiting on a FIFO or device. */
export const READ_ENTRY = constants.O_RDONLY | O_NONBLOCK | O_NOCTTY;
export const READ_FOLDER = constants.O_RDONLY | O_DIRECTORY;
export const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;

const toCName = (name: string) => Buffer.from(`${name}\0`, 'latin1');

const openAt = (folder: Fd, name: string, how: ReturnType<typeof openHow>): Fd =>
  invoke({ name: 'openat2' }, 'syscall', SYS_OPENAT2, folder, toCName(name), ...how);

/** Opens a path beneath an open folder: openat2(2). Refuses links, `..` above it, and mounts (EXDEV). Close it with {@link closeFd}. */
export function openBeneath(folder: Fd, name: string, flags: number, mode = 0): Fd {
  const links = RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS;
  const resolve = RESOLVE.BENEATH | RESOLVE.NO_XDEV | links;
  return openAt(folder, name, openHow(flags | O_NOFOLLOW, resolve, mode));
}

/** Opens a folder with all links resolved beneath `root`, on the same mount. Use the descriptor to open entries, not to list them. */
export function openFolderInRoot(root: Fd, path: string): Fd {
  const resolve = RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS | RESOLVE.NO_XDEV;
  return openAt(root, path, openHow(O_PATH | O_DIRECTORY, resolve));
}

export const closeFd = linuxFiles.close;

/** Opens an entry itself, even a link. Use the descriptor to inspect the entry and to change its owner. */
export const openEntry = (folder: Fd, name: string): Fd => openBeneath(folder, name, O_PATH);

/** Changes the owner of an open entry, even of a link: fchownat(2). */
export function chownFd(fd: Fd, { uid, gid }: UserIds) {
  invoke({ name: 'fchownat' }, 'fchownat', fd, Buffer.from('\0'), uid, gid, AT_EMPTY_PATH);
}

export type EntryKind = 'file' | 'folder' | 'link' | 'fifo' | 'socket' | 'device' | 'unknown';

export interface FolderEntry {
  readonly name: string;
  /** As listed in the folder; may have changed by the time the entry is opened. */
  readonly kind: EntryKind;
}

const LISTING_BYTES = 32 * 1024;
/** struct linux_dirent64: inode, offset, length of the record, kind, name. */
const RECORD_LENGTH_AT = 16;
const KIND_AT = 18;
const NAME_AT = 19;

/** DT_*: readdir(3). */
const KINDS: Readonly<Record<number, EntryKind>> = {
  1: 'fifo',
  2: 'device',
  4: 'folder',
  6: 'device',
  8: 'file',
  10: 'link',
  12: 'socket',
};

/** The entries of an open folder in the filesystem's order, read a few hundred at a time: getdents64(2). */
export function* readEntries(folder: Fd): Generator<FolderEntry> {
  const listing = Buffer.allocUnsafe(LISTING_BYTES);
  for (;;) {
    const end = invoke({ name: 'getdents64' }, 'getdents64', folder, listing, LISTING_BYTES);
    if (end === 0) return;
    for (let at = 0; at < end; ) {
      const length = listing.readUInt16LE(at + RECORD_LENGTH_AT);
      const from = at + NAME_AT;
      const name = listing.toString('latin1', from, listing.indexOf(0, from));
      const kind = KINDS[listing.readUInt8(at + KIND_AT)] ?? 'unknown';
      at += length;
      if (name !== '.' && name !== '..') yield { name, kind };
    }
  }
}

const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** Where a sparse file's next data begins; undefined if there is none. */
export const nextData = (fd: Fd, from: number): number | undefined =>
  invokeUnless(['ENXIO'], { name: 'lseek' }, 'lseek', fd, BigInt(from), SEEK_DATA);

/** Where the data that begins at `from` ends; undefined if the file has become shorter. */
export const nextHole = (fd: Fd, from: number): number | undefined =>
  invokeUnless(['ENXIO'], { name: 'lseek' }, 'lseek', fd, BigInt(from), SEEK_HOLE);

/** Gives an open file another name. */
export function linkFd(fd: Fd, folder: Fd, name: string): void {
  invoke({ name: 'linkat' }, 'linkat', fd, Buffer.from('\0'), folder, toCName(name), AT_EMPTY_PATH);
}

/** The path of an open folder's entry, for `node:fs` calls that do not follow a link in the last component. */
export const entryBytes = (folder: Fd, name: string): Buffer =>
  Buffer.from(entryOf(folder, name), 'latin1');
