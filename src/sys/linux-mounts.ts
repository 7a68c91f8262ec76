/** The mount API of Linux: open_tree(2), mount_setattr(2), fsopen(2), fsconfig(2), fsmount(2), move_mount(2), umount2(2). */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { callAside, invoke, invokeUnless } from './invoke.ts';
import { MOUNT_ATTR, type System, SystemError } from './system.ts';

const SYS = {
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  openat2: 437,
  mount_setattr: 442,
} as const;

const AT_FDCWD = -100;
const AT_RECURSIVE = 0x8000;
const AT_EMPTY_PATH = 0x1000;
const OPEN_TREE_CLONE_CLOEXEC = 0x8_0001;
const O_PATH_CLOEXEC = 0x28_0000;
const RESOLVE_NO_XDEV = 0x1;
const RESOLVE_NO_SYMLINKS = 0x4;
const RESOLVE_BENEATH = 0x8;
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG = { flag: 0, string: 1, fd: 5, create: 6 } as const;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
const MS_BIND = 0x1000;
const MS_PRIVATE = 0x4_0000;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

type MountCalls = Pick<
  System,
  | 'openTreeClone'
  | 'openRealTreeClone'
  | 'idmapMount'
  | 'restrictMount'
  | 'fsOpen'
  | 'fsConfigString'
  | 'fsConfigFlag'
  | 'fsConfigFd'
  | 'fsConfigCreate'
  | 'fsConfigCreateAside'
  | 'fsContextLog'
  | 'fsMount'
  | 'attachMount'
  | 'attachMountOver'
  | 'bindMount'
  | 'mountByString'
  | 'detachMount'
  | 'detachMountAside'
>;

/** struct mount_attr: attributes to set, attributes to clear, propagation, user namespace. */
function mountAttributes(set: number, propagation: number, userNamespaceFd: number): Buffer {
  const attributes = Buffer.alloc(32);
  attributes.writeBigUInt64LE(BigInt(set), 0);
  attributes.writeBigUInt64LE(BigInt(propagation), 16);
  attributes.writeBigUInt64LE(BigInt(userNamespaceFd), 24);
  return attributes;
}

/** struct open_how: flags, mode, resolve. */
function openHow(resolve: number): Buffer {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(O_PATH_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(resolve), 16);
  return how;
}

export const linuxMounts: MountCalls = {
  openTreeClone(path) {
    const as = { name: 'open_tree', subject: path };
    return invoke(as, 'syscall', SYS.open_tree, AT_FDCWD, path, OPEN_TREE_CLONE_CLOEXEC);
  },
  openRealTreeClone(path) {
    const how = openHow(RESOLVE_NO_SYMLINKS);
    const opened = { name: 'openat2', subject: path };
    const fd = invoke(opened, 'syscall', SYS.openat2, AT_FDCWD, path, how, how.length);
    try {
      const flags = OPEN_TREE_CLONE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH;
      return invoke({ name: 'open_tree', subject: path }, 'syscall', SYS.open_tree, fd, '', flags);
    } finally {
      invoke({ name: 'close' }, 'close', fd);
    }
  },
  idmapMount(mountFd, userNamespaceFd, { recursive } = { recursive: false }) {
    const flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
    const attributes = mountAttributes(MOUNT_ATTR.IDMAP, 0, userNamespaceFd);
    const { mount_setattr } = SYS;
    invoke(
      { name: 'mount_setattr', subject: 'idmap' },
      'syscall',
      mount_setattr,
      mountFd,
      '',
      flags,
      attributes,
      32,
    );
  },
  restrictMount(mountFd, set, { recursive }) {
    const flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
    const attributes = mountAttributes(set, MS_PRIVATE, 0);
    invoke(
      { name: 'mount_setattr' },
      'syscall',
      SYS.mount_setattr,
      mountFd,
      '',
      flags,
      attributes,
      32,
    );
  },
  fsOpen: (filesystem) =>
    invoke(
      { name: 'fsopen', subject: filesystem },
      'syscall',
      SYS.fsopen,
      filesystem,
      FSOPEN_CLOEXEC,
    ),
  fsConfigString(contextFd, key, value) {
    invoke(
      { name: 'fsconfig', subject: `${key}=${value}` },
      'syscall',
      SYS.fsconfig,
      contextFd,
      FSCONFIG.string,
      key,
      value,
      0,
    );
  },
  fsConfigFlag(contextFd, key) {
    invoke(
      { name: 'fsconfig', subject: key },
      'syscall',
      SYS.fsconfig,
      contextFd,
      FSCONFIG.flag,
      key,
      0,
      0,
    );
  },
  fsConfigFd(contextFd, key, fd) {
    invoke(
      { name: 'fsconfig', subject: key },
      'syscall',
      SYS.fsconfig,
      contextFd,
      FSCONFIG.fd,
      key,
      0,
      fd,
    );
  },
  fsConfigCreate(contextFd) {
    invoke(
      { name: 'fsconfig', subject: 'create' },
      'syscall',
      SYS.fsconfig,
      contextFd,
      FSCONFIG.create,
      0,
      0,
      0,
    );
  },
  async fsConfigCreateAside(contextFd) {
    const { fsconfig } = SYS;
    return (await callAside('syscall', fsconfig, contextFd, FSCONFIG.create, 0, 0, 0)) === 0;
  },
  fsContextLog(contextFd) {
    const lines: string[] = [];
    const line = Buffer.alloc(4096);
    try {
      // Each read returns one message, and ENODATA ends the list. The bound protects against a kernel that never returns ENODATA.
      while (lines.length < 32)
        lines.push(line.toString('utf8', 0, readSync(contextFd, line)).trim());
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENODATA')) throw error;
    }
    return lines.join('; ');
  },
  fsMount: (contextFd, attributes) =>
    invoke({ name: 'fsmount' }, 'syscall', SYS.fsmount, contextFd, FSMOUNT_CLOEXEC, attributes),
  attachMount(mountFd, target) {
    const { move_mount } = SYS;
    invoke(
      { name: 'move_mount', subject: target },
      'syscall',
      move_mount,
      mountFd,
      '',
      AT_FDCWD,
      target,
      MOVE_MOUNT_F_EMPTY_PATH,
    );
  },
  attachMountOver(mountFd, root, file) {
    const rootFd = openSync(root, constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      const how = openHow(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
      const as = { name: 'openat2', subject: `${root}/${file}` };
      const nothing = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV'];
      const found = invokeUnless(
        nothing,
        as,
        'syscall',
        SYS.openat2,
        rootFd,
        file,
        how,
        how.length,
      );
      if (found === undefined) return false;
      try {
        if (!fstatSync(found).isFile()) return false;
        // Makes the root private: a shared mount would pass the new one on to other mount namespaces.
        linuxMounts.restrictMount(rootFd, 0, { recursive: false });
        const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
        const moved = { ...as, name: 'move_mount' };
        invoke(moved, 'syscall', SYS.move_mount, mountFd, '', found, '', flags);
        return true;
      } finally {
        closeSync(found);
      }
    } finally {
      closeSync(rootFd);
    }
  },
  bindMount(source, target) {
    invoke(
      { name: 'mount --bind', subject: `${source} on ${target}` },
      'mount',
      source,
      target,
      0,
      MS_BIND,
      0,
    );
  },
  mountByString(filesystem, target, { flags, options }) {
    const as = { name: 'mount', subject: `${filesystem} on ${target}` };
    invoke(as, 'mount', filesystem, target, filesystem, flags, options);
  },
  detachMount(target) {
    // EINVAL: not a mount point. ENOENT and ENOTDIR: no such path.
    const nothing = ['EINVAL', 'ENOENT', 'ENOTDIR'];
    const as = { name: 'umount2', subject: target };
    return invokeUnless(nothing, as, 'umount2', target, MNT_DETACH | UMOUNT_NOFOLLOW) !== undefined;
  },
  async detachMountAside(target) {
    const result = await callAside('umount2', target, MNT_DETACH | UMOUNT_NOFOLLOW);
    // A call on the pool loses its errno: the second, synchronous call throws the reason.
    return result === 0 || linuxMounts.detachMount(target);
  },
};

/** Whether the kernel refused to mount a file without a loop device. */
export const needsLoopDevice = (error: unknown): boolean =>
  error instanceof SystemError && error.code === 'ENOTBLK';
