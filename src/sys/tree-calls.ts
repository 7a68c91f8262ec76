/**
 * Calls for walking a tree that others made and may still change: each name is opened beneath its open folder, and no link is followed. Names
 * are bytes as Latin-1 characters, because they need not be UTF-8.
 */
import { constants } from 'node:fs';
import { invoke, invokeUnless } from './invoke.ts';
import type { Fd } from './system.ts';

const SYS_OPENAT2 = 437;
const O_CLOEXEC = 0x8_0000;
const RESOLVE_NO_XDEV = 0x1;
const RESOLVE_NO_MAGICLINKS = 0x2;
const RESOLVE_NO_SYMLINKS = 0x4;
const RESOLVE_BENEATH = 0x8;
const RESOLVE_IN_ROOT = 0x10;

const O_PATH = 0x20_0000;
const AT_EMPTY_PATH = 0x1000;
const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;

/** How an entry is opened for reading: neither a FIFO nor a device makes the call wait. */
export const READ_ENTRY = constants.O_RDONLY | O_NONBLOCK | O_NOCTTY;
export const READ_FOLDER = constants.O_RDONLY | O_DIRECTORY;
export const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;

const toCName = (name: string) => Buffer.from(`${name}\0`, 'latin1');

function openAt(folder: Fd, name: string, how: readonly [number, number, number]): Fd {
  // struct open_how: flags, mode, resolve.
  const [flags, mode, resolve] = how;
  const open = Buffer.alloc(24);
  open.writeUInt32LE(flags, 0);
  open.writeUInt32LE(mode, 8);
  open.writeUInt32LE(resolve, 16);
  return invoke({ name: 'openat2' }, 'syscall', SYS_OPENAT2, folder, toCName(name), open, 24);
}

/**
 * Opens a path beneath an open folder: openat2(2). Refuses links, `..` above the folder, and what is mounted below it (EXDEV). Close the
 * descriptor with {@link closeFd}.
 */
export const openBeneath = (folder: Fd, name: string, flags: number, mode = 0): Fd =>
  openAt(folder, name, [
    flags | O_NOFOLLOW | O_CLOEXEC,
    mode,
    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
  ]);

/** Opens a folder with every link resolved beneath `root`, on the same mount. The descriptor serves to open entries, not to list them. */
export const openFolderInRoot = (root: Fd, path: string): Fd =>
  openAt(root, path, [
    O_PATH | O_DIRECTORY | O_CLOEXEC,
    0,
    RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
  ]);

export function closeFd(fd: Fd): void {
  // These report data that was lost earlier: the descriptor is closed nevertheless.
  invokeUnless(['EIO', 'EINTR', 'ENOSPC', 'EDQUOT'], { name: 'close' }, 'close', fd);
}

/** Opens what an entry itself is, also if it is a link. The descriptor serves to look at the entry and to change its owner. */
export const openEntry = (folder: Fd, name: string): Fd => openBeneath(folder, name, O_PATH);

/** Changes the owner of what is open, also of a link: fchownat(2). */
export function chownFd(fd: Fd, { uid, gid }: { readonly uid: number; readonly gid: number }) {
  invoke({ name: 'fchownat' }, 'fchownat', fd, Buffer.from('\0'), uid, gid, AT_EMPTY_PATH);
}

export type EntryKind = 'file' | 'folder' | 'link' | 'fifo' | 'socket' | 'device' | 'unknown';

export interface FolderEntry {
  readonly name: string;
  /** As the folder says; the entry may be something else when it is opened. */
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

/** The entries of an open folder, in the filesystem's order, read a few hundred at a time: getdents64(2). */
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

/** Where the next data of a sparse file begins; undefined: there is none. */
export const nextData = (fd: Fd, from: number): number | undefined =>
  invokeUnless(['ENXIO'], { name: 'lseek' }, 'lseek', fd, BigInt(from), SEEK_DATA);

/** Where the data that begins at `from` ends; undefined: the file has become shorter. */
export const nextHole = (fd: Fd, from: number): number | undefined =>
  invokeUnless(['ENXIO'], { name: 'lseek' }, 'lseek', fd, BigInt(from), SEEK_HOLE);

/** Gives an open file one more name. */
export function linkFd(fd: Fd, folder: Fd, name: string): void {
  invoke({ name: 'linkat' }, 'linkat', fd, Buffer.from('\0'), folder, toCName(name), AT_EMPTY_PATH);
}

/** The path of an entry of an open folder, for calls of `node:fs` that do not follow a link in the last place. */
export const entryBytes = (folder: Fd, name: string): Buffer =>
  Buffer.from(`/proc/self/fd/${folder}/${name}`, 'latin1');
