/** Files and folders: flock(2), openat2(2), close(2), fchdir(2), mknodat(2), inotify(7). */
import { constants } from 'node:os';
import { ffi } from '#ffi';
import { callAside, invoke, invokeUnless } from './invoke.ts';
import { type System, SystemError } from './system.ts';

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

export const SYS_OPENAT2 = 437;
const O_CLOEXEC = 0x8_0000;
const O_NONBLOCK = 0x800;
export const RESOLVE = {
  NO_XDEV: 0x1,
  NO_MAGICLINKS: 0x2,
  NO_SYMLINKS: 0x4,
  BENEATH: 0x8,
  IN_ROOT: 0x10,
  CACHED: 0x20,
} as const;
/** Refusals of openCached: the entry is no file, or cannot be opened without waiting (the folder is changing, or the file has a lease). */
const NOT_NOW = ['ENOENT', 'EAGAIN', 'ELOOP', 'EXDEV', 'ENXIO', 'EACCES'];

/** The number of mknodat(2), which differs between architectures. */
const MKNODAT: Readonly<Record<string, number>> = { x64: 259, arm64: 33 };
const AT_FDCWD = -100;
const FILE_TYPES = { c: 0o020000, b: 0o060000 } as const;
const NODE_MODE = 0o600;
const ENOSYS = 38;

const IN_NONBLOCK_CLOEXEC = 0x8_0800;
/** MOVED_FROM, MOVED_TO, CREATE, DELETE, DELETE_SELF, MOVE_SELF. ONLYDIR and DONT_FOLLOW refuse a link, and anything but a folder. */
const WATCHED_EVENTS = 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800 | 0x100_0000 | 0x200_0000;

/** The last two arguments of openat2(2): struct open_how (flags, mode, resolve) and its size. The descriptor is close-on-exec. */
export function openHow(flags: number, resolve: number, mode = 0): readonly [Buffer, number] {
  const how = Buffer.alloc(24);
  how.writeUInt32LE(flags | O_CLOEXEC, 0);
  how.writeUInt32LE(mode, 8);
  how.writeUInt32LE(resolve, 16);
  return [how, how.length];
}

export const linuxFiles = {
  lockFile(fd, { wait, shared = false }) {
    const operation = (shared ? LOCK_SH : LOCK_EX) | (wait ? 0 : LOCK_NB);
    return invokeUnless(['EAGAIN'], { name: 'flock' }, 'flock', fd, operation) !== undefined;
  },
  openInRoot(rootFd, path) {
    // Opening a named pipe of the tree must not wait for a writer.
    const how = openHow(O_NONBLOCK, RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS);
    return invoke({ name: 'openat2', subject: path }, 'syscall', SYS_OPENAT2, rootFd, path, ...how);
  },
  openCached(folderFd, name) {
    const resolve = RESOLVE.CACHED | RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_XDEV;
    const how = openHow(O_NONBLOCK, resolve);
    const as = { name: 'openat2', subject: name };
    return invokeUnless(NOT_NOW, as, 'syscall', SYS_OPENAT2, folderFd, name, ...how);
  },
  close(fd) {
    // These errors report data lost earlier; the descriptor is closed anyway.
    const closed = ['EIO', 'EINTR', 'ENOSPC', 'EDQUOT'];
    invokeUnless(closed, { name: 'close', subject: String(fd) }, 'close', fd);
  },
  async closeAside(fd) {
    if (ffi.callOnPool === undefined) {
      linuxFiles.close(fd);
      return;
    }
    const result = await callAside('close', fd);
    // Nothing was written through these descriptors, so EBADF is the only possible error.
    if (result !== 0) throw new SystemError('close', constants.errno.EBADF, 'EBADF', String(fd));
  },
  changeDirectory(folder) {
    invoke({ name: 'fchdir', subject: String(folder) }, 'fchdir', folder);
  },
  makeDeviceNode(path, { type, major, minor }) {
    const number = MKNODAT[process.arch];
    if (number === undefined) throw new SystemError('mknodat', ENOSYS, 'ENOSYS', path);
    const as = { name: 'mknodat', subject: path };
    const device = toDeviceNumber(major, minor);
    invoke(as, 'syscall', number, AT_FDCWD, path, FILE_TYPES[type] | NODE_MODE, device);
  },
  watchFolder(path) {
    const fd = invoke({ name: 'inotify_init1' }, 'inotify_init1', IN_NONBLOCK_CLOEXEC);
    try {
      const as = { name: 'inotify_add_watch', subject: path };
      invoke(as, 'inotify_add_watch', fd, path, WATCHED_EVENTS);
      return fd;
    } catch (error) {
      invoke({ name: 'close' }, 'close', fd);
      throw error;
    }
  },
} satisfies Partial<System>;

/** Packs a device number into 32 bits as the kernel does: low byte of the minor, major, rest of the minor. */
const toDeviceNumber = (major: number, minor: number) =>
  ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;

/** Unpacks the device number in a file's status: makedev(3). */
export function toDeviceNumbers(rdev: number): { readonly major: number; readonly minor: number } {
  const low = rdev % 2 ** 32;
  const high = Math.floor(rdev / 2 ** 32);
  return {
    major: ((low >>> 8) & 0xfff) | (high & 0xffff_f000),
    minor: (low & 0xff) | ((low >>> 12) & 0xffff_ff00),
  };
}
