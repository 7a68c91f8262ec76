/**
 * The kernel, as stackshim uses it. `linux-system.ts` calls libc; tests of pure rooms use a recording fake. Each method throws a {@link
 * SystemError} if the kernel refuses, unless its comment says otherwise. A method `…Aside` runs on a pool thread if the engine has a pool.
 */

/** An open file descriptor; its receiver closes it. */
export type Fd = number;

export interface System {
  // mounts: open_tree(2), mount_setattr(2), fsopen(2), fsconfig(2), fsmount(2), move_mount(2), umount2(2)
  /** Clones the mount at `path` as a detached mount; for a folder or file that is not a mount point, a detached bind mount. */
  openTreeClone(path: string): Fd;
  /** Like `openTreeClone`, with the mounts below. Resolve the path's links first: throws ELOOP for a link (openat2(2), RESOLVE_NO_SYMLINKS). */
  openRealTreeClone(path: string): Fd;
  /** Maps a detached mount's ids through a user namespace. `recursive` includes all mounts below it; on an error none is mapped. */
  idmapMount(mountFd: Fd, userNamespaceFd: Fd, options?: { readonly recursive: boolean }): void;
  /** Sets MOUNT_ATTR_* bits on a detached mount and makes it private. */
  restrictMount(mountFd: Fd, attributes: number, options: { readonly recursive: boolean }): void;
  fsOpen(filesystem: string): Fd;
  fsConfigString(contextFd: Fd, key: string, value: string): void;
  fsConfigFlag(contextFd: Fd, key: string): void;
  fsConfigFd(contextFd: Fd, key: string, fd: Fd): void;
  fsConfigCreate(contextFd: Fd): void;
  /** Like `fsConfigCreate`, for filesystems read from a disk. False if the kernel refuses; for the reason, create it again in a new context. */
  fsConfigCreateAside(contextFd: Fd): Promise<boolean>;
  /** What the kernel has logged in a filesystem context: the reason for an EINVAL. */
  fsContextLog(contextFd: Fd): string;
  fsMount(contextFd: Fd, attributes: number): Fd;
  attachMount(mountFd: Fd, target: string): void;
  /**
   * Attaches a mount over `file`, a path relative to the mount point `root`. Makes the mount at `root` private, so that the new mount appears in
   * no other mount namespace. Returns false, and changes nothing, if `file` is missing or no regular file, or its path contains a link or another
   * mount.
   */
  attachMountOver(mountFd: Fd, root: string, file: string): boolean;
  bindMount(source: string, target: string): void;
  /** Mounts a filesystem by mount(2) with MS_* flags. The options are one string of at most a page. */
  mountByString(
    filesystem: string,
    target: string,
    mount: { readonly flags: number; readonly options: string },
  ): void;
  /** Detaches the topmost mount at `target`. Returns false if nothing is mounted there. */
  detachMount(target: string): boolean;
  /** Like `detachMount`, which waits until no processor can use the mount any more. Where nothing is mounted, the synchronous call is quicker. */
  detachMountAside(target: string): Promise<boolean>;

  // files
  /** Makes a device node with mode 0600 or less: mknod(2). */
  makeDeviceNode(path: string, device: DeviceNumber): void;
  /** Takes an exclusive or shared flock. Returns false if another open file holds the lock and `wait` is false. */
  lockFile(fd: Fd, options: LockOptions): boolean;
  /** Opens a path for reading with all links resolved beneath `rootFd`: openat2(2) with RESOLVE_IN_ROOT. Never waits. */
  openInRoot(rootFd: Fd, path: string): Fd;
  /**
   * Opens an entry of an open folder for reading. Never waits, whatever others do with the folder or file: openat2(2) with RESOLVE_CACHED,
   * RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_XDEV. Undefined if the entry is not in the kernel's cache, is a link, mount point, socket
   * or device, or cannot be opened right now.
   */
  openCached(folderFd: Fd, name: string): Fd | undefined;
  /**
   * A non-blocking descriptor that becomes readable when an entry of the folder appears, disappears or is renamed, or the folder itself is
   * removed or moved. Reading returns events of inotify(7).
   */
  watchFolder(path: string): Fd;
  /** Closes a descriptor that this port opened; throws if already closed. `node:fs` tracks its own in worker threads: let it close those. */
  close(fd: Fd): void;
  /** Like `close`: closing a detached mount takes as long as detaching one. */
  closeAside(fd: Fd): Promise<void>;

  // disk space: loop(4), quotactl_fd(2)
  /** Attaches an open file to a free loop device, which is free again when nobody has it open or mounted. */
  attachLoopDevice(fileFd: Fd): LoopDevice;
  /** Like `attachLoopDevice`, for which the kernel first writes the file's cached content to the disk. */
  attachLoopDeviceAside(fileFd: Fd): Promise<LoopDevice>;
  /** Makes the ext4 filesystem of an open folder drop unwritten data and refuse every further operation. */
  shutDownFilesystem(folderFd: Fd): void;
  /** Whether the open folder's filesystem enforces project quotas. False if it has no projects. */
  enforcesProjectQuota(folderFd: Fd): boolean;
  /** Puts an open, empty folder and everything created in it later into a project. */
  setProject(folderFd: Fd, project: number): void;
  /** Limits a project's disk space on the open folder's filesystem; 0 means no limit. */
  limitProject(folderFd: Fd, project: number, limit: DiskAmount): void;
  readProjectUsage(folderFd: Fd, project: number): DiskAmount;

  // processes
  /** Makes this process the parent of orphaned descendants: prctl(PR_SET_CHILD_SUBREAPER). */
  becomeSubreaper(): void;
  /** Makes an open folder the working directory of the whole process: fchdir(2). */
  changeDirectory(folder: Fd): void;
  openPidfd(pid: number): Fd;
  /** Sends a signal. Returns false if the process is gone. */
  signalPidfd(pidfd: Fd, signal: number): boolean;
  /** Whether the process has ended with all its threads, reaped or not. Never waits for the process. */
  hasEnded(pidfd: Fd): boolean;
  /** The exit of a child of this process; undefined while the child runs. */
  waitPidfd(pidfd: Fd): ProcessExit | undefined;
  /** Like `waitPidfd`, by pid. No other process can get the pid before the child is reaped. */
  waitChild(pid: number): ProcessExit | undefined;
  /** Whether a wait for this child would return at once; leaves its exit. False if it is no child any more, or a zombie with running threads. */
  isWaitable(pid: number): boolean;
  createEpoll(): Fd;
  addToEpoll(epollFd: Fd, fd: Fd): void;
  removeFromEpoll(epollFd: Fd, fd: Fd): void;
  /** The descriptors that are ready now, at most `limit`; returns at once. */
  pollEpoll(epollFd: Fd, limit: number): readonly Fd[];
  /** Like `pollEpoll`, but waits up to `timeoutMs` on a pool thread. Undefined if the engine has no pool. */
  readonly waitEpoll:
    | ((epollFd: Fd, limit: number, timeoutMs: number) => Promise<readonly Fd[]>)
    | undefined;

  /** A non-blocking netlink socket in a network namespace, to query its sockets: setns(2), sock_diag(7). */
  openSocketDiagnosis(namespace: Fd): Fd;
  /** Opens a file below /proc/net of a network namespace for reading, such as `sockstat`. Throws ENOENT if the kernel lacks it. */
  openNetFile(namespace: Fd, name: string): Fd;

  // streams
  /** A close-on-exec pipe: [read end, write end]. */
  createPipe(): readonly [Fd, Fd];
  /** A listening unix stream socket bound to `path`, close-on-exec and non-blocking. */
  listenUnix(path: string): Fd;
  /** Accepts a waiting connection and returns the descriptor in its first message. Throws EAGAIN if none waits. */
  receiveFd(listenFd: Fd): Fd;
  windowSize(ttyFd: Fd): WindowSize;
  setWindowSize(ttyFd: Fd, size: WindowSize): void;
}

export interface LockOptions {
  readonly wait: boolean;
  /** Default: exclusive. */
  readonly shared?: boolean;
}

/** An open loop device; the receiver closes `fd` with `node:fs`. */
export interface LoopDevice {
  readonly fd: Fd;
  /** `/dev/loop3`. */
  readonly path: string;
}

export interface DiskAmount {
  readonly bytes: number;
  /** Files, folders, links: everything with an inode. */
  readonly inodes: number;
}

/** The device behind a node: character or block device, and its number. */
export interface DeviceNumber {
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
}

export interface ProcessExit {
  /** Exit code 0-255; null if a signal ended the process. */
  readonly exitCode: number | null;
  /** Signal number; null if the process exited. */
  readonly signal: number | null;
}

/** The size of a terminal in character cells. */
export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** A system call that the kernel refused; `code` is the errno's name, as in Node's errors. */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  readonly syscall: string;
  readonly errno: number;
  readonly code: string;

  constructor(syscall: string, errno: number, code: string, subject?: string) {
    super(`${syscall}${subject === undefined ? '' : ` ${subject}`}: ${code}`);
    this.syscall = syscall;
    this.errno = errno;
    this.code = code;
  }
}

export const MOUNT_ATTR = {
  RDONLY: 0x1,
  NOSUID: 0x2,
  NODEV: 0x4,
  NOEXEC: 0x8,
  STRICTATIME: 0x20,
  IDMAP: 0x10_0000,
} as const;

/** Makes a detached mount of a filesystem without a device; the receiver closes it. `attributes` are MOUNT_ATTR_* bits. */
export function makeMount(
  system: System,
  filesystem: string,
  options: {
    readonly settings: readonly (readonly [string, string])[];
    readonly attributes: number;
  },
): Fd {
  const context = system.fsOpen(filesystem);
  try {
    for (const [key, value] of options.settings) system.fsConfigString(context, key, value);
    system.fsConfigCreate(context);
    return system.fsMount(context, options.attributes);
  } finally {
    system.close(context);
  }
}
