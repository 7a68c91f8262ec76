/** The mount API of Linux: open_tree(2), mount_setattr(2), fsopen(2), fsconfig(2), fsmount(2), move_mount(2), umount2(2). */
import { constants, fstatSync, openSync, readSync } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';
import type { FfiArgument } from './ffi/libc-calls.ts';
import { callAside, type Invocation, invoke, invokeUnless } from './invoke.ts';
import { openHow, RESOLVE, SYS_OPENAT2 } from './linux-files.ts';
import { O_PATH, withFd } from './paths.ts';
import { type Fd, MOUNT_ATTR, type System, SystemError } from './system.ts';

const SYS = {
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  openat2: SYS_OPENAT2,
  mount_setattr: 442,
} as const;

const AT_FDCWD = -100;
const AT_RECURSIVE = 0x8000;
const AT_EMPTY_PATH = 0x1000;
const OPEN_TREE_CLONE_CLOEXEC = 0x8_0001;
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG = { flag: 0, string: 1, fd: 5, create: 6 } as const;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
const MS_BIND = 0x1000;
const MS_PRIVATE = 0x4_0000;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

/** Makes a system call by number; `subject` is its object in messages. */
const call = (
  name: keyof typeof SYS,
  subject: string | undefined,
  ...args: readonly FfiArgument[]
): number => invoke({ name, subject }, 'syscall', SYS[name], ...args);

/** @param fields Of struct mount_attr: attributes to set, attributes to clear, propagation, user namespace. */
function setAttributes(
  subject: Invocation['subject'],
  mountFd: Fd,
  recursive: boolean,
  fields: readonly [number, number, number, number],
): void {
  const attributes = Buffer.alloc(32);
  for (const [at, field] of fields.entries()) attributes.writeBigUInt64LE(BigInt(field), 8 * at);
  const flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
  call('mount_setattr', subject, mountFd, '', flags, attributes, attributes.length);
}

export const linuxMounts = {
  openTreeClone: (path) => call('open_tree', path, AT_FDCWD, path, OPEN_TREE_CLONE_CLOEXEC),
  openRealTreeClone(path) {
    const fd = call('openat2', path, AT_FDCWD, path, ...openHow(O_PATH, RESOLVE.NO_SYMLINKS));
    try {
      const flags = OPEN_TREE_CLONE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH;
      return call('open_tree', path, fd, '', flags);
    } finally {
      invoke({ name: 'close' }, 'close', fd);
    }
  },
  idmapMount(mountFd, userNamespaceFd, { recursive } = { recursive: false }) {
    setAttributes('idmap', mountFd, recursive, [MOUNT_ATTR.IDMAP, 0, 0, userNamespaceFd]);
  },
  restrictMount(mountFd, set, { recursive }) {
    setAttributes(undefined, mountFd, recursive, [set, 0, MS_PRIVATE, 0]);
  },
  fsOpen: (filesystem) => call('fsopen', filesystem, filesystem, FSOPEN_CLOEXEC),
  fsConfigString(contextFd, key, value) {
    call('fsconfig', `${key}=${value}`, contextFd, FSCONFIG.string, key, value, 0);
  },
  fsConfigFlag(contextFd, key) {
    call('fsconfig', key, contextFd, FSCONFIG.flag, key, 0, 0);
  },
  fsConfigFd(contextFd, key, fd) {
    call('fsconfig', key, contextFd, FSCONFIG.fd, key, 0, fd);
  },
  fsConfigCreate(contextFd) {
    call('fsconfig', 'create', contextFd, FSCONFIG.create, 0, 0, 0);
  },
  async fsConfigCreateAside(contextFd) {
    const created = callAside('syscall', SYS.fsconfig, contextFd, FSCONFIG.create, 0, 0, 0);
    return (await created) === 0;
  },
  fsContextLog(contextFd) {
    const lines: string[] = [];
    const line = Buffer.alloc(4096);
    try {
      // Each read returns one message; ENODATA ends the list. The bound covers a kernel that never returns ENODATA.
      while (lines.length < 32)
        lines.push(line.toString('utf8', 0, readSync(contextFd, line)).trim());
    } catch (error) {
      if (errnoCodeOf(error) !== 'ENODATA') throw error;
    }
    return lines.join('; ');
  },
  fsMount: (contextFd, attributes) =>
    call('fsmount', undefined, contextFd, FSMOUNT_CLOEXEC, attributes),
  attachMount(mountFd, target) {
    call('move_mount', target, mountFd, '', AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
  },
  attachMountOver(mountFd, root, file) {
    return withFd(openSync(root, constants.O_DIRECTORY | constants.O_NOFOLLOW), (rootFd) => {
      const subject = `${root}/${file}`;
      const as = { name: 'openat2', subject };
      const nothing = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV'];
      const how = openHow(O_PATH, RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_XDEV);
      const found = invokeUnless(nothing, as, 'syscall', SYS.openat2, rootFd, file, ...how);
      if (found === undefined) return false;
      return withFd(found, () => {
        if (!fstatSync(found).isFile()) return false;
        // A shared root would pass the new mount on to other mount namespaces.
        linuxMounts.restrictMount(rootFd, 0, { recursive: false });
        const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
        call('move_mount', subject, mountFd, '', found, '', flags);
        return true;
      });
    });
  },
  bindMount(source, target) {
    const as = { name: 'mount --bind', subject: `${source} on ${target}` };
    invoke(as, 'mount', source, target, 0, MS_BIND, 0);
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
  async detachMountAside(target): Promise<boolean> {
    const result = await callAside('umount2', target, MNT_DETACH | UMOUNT_NOFOLLOW);
    // A pool call loses its errno: the second, synchronous call throws the reason.
    return result === 0 || linuxMounts.detachMount(target);
  },
} satisfies Partial<System>;

/** Whether the kernel refused to mount a file because it needs a loop device. */
export const needsLoopDevice = (error: unknown): boolean =>
  error instanceof SystemError && error.code === 'ENOTBLK';
