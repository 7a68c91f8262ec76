/**
 * The kernel, as stackshim uses it. One implementation (`linux-system.ts`) calls libc; tests of pure rooms use a recording fake. Every
 * method throws a {@link SystemError} if the kernel refuses, unless its comment says otherwise.
 */

/** An open file descriptor; whoever receives it closes it. */
export type Fd = number;

export interface System {
  // mounts: open_tree(2), mount_setattr(2), fsopen(2), fsconfig(2), fsmount(2), move_mount(2), umount2(2)
  /** Clones the mount at `path` as a detached mount; a folder or file that is not a mount point as a detached bind mount. */
  openTreeClone(path: string): Fd;
  /**
   * Like `openTreeClone`, with the mounts below it, for a path whose links were resolved earlier. Throws ELOOP if the path contains a link
   * by now (openat2(2) with RESOLVE_NO_SYMLINKS).
   */
  openRealTreeClone(path: string): Fd;
  /** Maps the ids of a detached mount through a user namespace. With `recursive`, also those of all mounts below it; if it throws, none is mapped. */
  idmapMount(mountFd: Fd, userNamespaceFd: Fd, options?: { readonly recursive: boolean }): void;
  /** Sets MOUNT_ATTR_* bits on a detached mount and makes it private. */
  restrictMount(mountFd: Fd, attributes: number, options: { readonly recursive: boolean }): void;
  fsOpen(filesystem: string): Fd;
  fsConfigString(contextFd: Fd, key: string, value: string): void;
  fsConfigFlag(contextFd: Fd, key: string): void;
  fsConfigFd(contextFd: Fd, key: string, fd: Fd): void;
  fsConfigCreate(contextFd: Fd): void;
  /**
   * Like `fsConfigCreate`, but on a thread of the pool if the engine has one: for a filesystem that is read from a disk. Resolves to false
   * if the kernel refuses; create the filesystem again in a new context to get the reason.
   */
  fsConfigCreateAside(contextFd: Fd): Promise<boolean>;
  /** What the kernel logged in a filesystem context since it was opened: the reason for an EINVAL. */
  fsContextLog(contextFd: Fd): string;
  fsMount(contextFd: Fd, attributes: number): Fd;
  attachMount(mountFd: Fd, target: string): void;
  /**
   * Attaches a mount over `file`, a relative path below the mount point `root`. The mount at `root` becomes private, so the new one appears in no
   * other mount namespace. Returns false, and changes nothing, if `file` is missing or no regular file, or its path contains a link or another
   * mount.
   */
  attachMountOver(mountFd: Fd, root: string, file: string): boolean;
  bindMount(source: string, target: string): void;
  /** Mounts a filesystem through mount(2) with MS_* flags. The options are one string of at most a page. */
  mountByString(
    filesystem: string,
    target: string,
    mount: { readonly flags: number; readonly options: string },
  ): void;
  /** Detaches the topmost mount at `target`. Returns false when nothing is mounted there. */
  detachMount(target: string): boolean;
  /**
   * Like `detachMount`, but on a thread of the pool if the engine has one: the kernel waits until no processor can be using the mount any
   * more. Use it for paths where something is mounted; if nothing is mounted, the synchronous call is quicker.
   */
  detachMountAside(target: string): Promise<boolean>;

  // files
  /** Makes a device node with mode 0600 at most: mknod(2). */
  makeDeviceNode(path: string, device: DeviceNumber): void;
  /** Takes an exclusive or shared flock. Returns false if another open file holds the lock and `wait` is false. */
  lockFile(fd: Fd, options: LockOptions): boolean;
  /** Opens a path for reading with every link resolved beneath `rootFd`: openat2(2) with RESOLVE_IN_ROOT. Never waits. */
  openInRoot(rootFd: Fd, path: string): Fd;
  /**
   * Opens an entry of an open folder for reading, and never waits, whatever others do with the folder or the file: openat2(2) with
   * RESOLVE_CACHED, RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_XDEV. Undefined: there is no such entry in the kernel's cache, it is a
   * link, a mount point, a socket or a device, or it cannot be opened at this moment.
   */
  openCached(folderFd: Fd, name: string): Fd | undefined;
  /**
   * A non-blocking descriptor that becomes readable whenever an entry of the folder appears, disappears or is renamed, or the folder itself
   * is removed or moved. Reading it returns events of inotify(7).
   */
  watchFolder(path: string): Fd;
  /**
   * Closes a descriptor that a method of this port opened; throws if it is closed already. A descriptor that `node:fs` opened must be closed
   * by `node:fs`, which keeps count of descriptors in worker threads.
   */
  close(fd: Fd): void;
  /** Like `close`, but on a thread of the pool if the engine has one: closing a detached mount takes as long as detaching one. */
  closeAside(fd: Fd): Promise<void>;

  // disk space: loop(4), quotactl_fd(2)
  /** Attaches an open file to a free loop device. The device is free again when nobody has it open or mounted any more. */
  attachLoopDevice(fileFd: Fd): LoopDevice;
  /** Like `attachLoopDevice`, but on a thread of the pool if the engine has one: the kernel first writes the file's cached content to the disk. */
  attachLoopDeviceAside(fileFd: Fd): Promise<LoopDevice>;
  /** Makes the ext4 filesystem of an open folder drop what it has not written yet, and refuse everything from now on. */
  shutDownFilesystem(folderFd: Fd): void;
  /** Whether the filesystem of an open folder enforces project quotas. False if it has no projects. */
  enforcesProjectQuota(folderFd: Fd): boolean;
  /** Puts an open, empty folder, and everything that will be created in it, into a project. */
  setProject(folderFd: Fd, project: number): void;
  /** Limits the disk space of a project on the filesystem of an open folder; 0 means no limit. */
  limitProject(folderFd: Fd, project: number, limit: DiskAmount): void;
  readProjectUsage(folderFd: Fd, project: number): DiskAmount;

  // processes
  /** Makes this process the parent of orphaned descendants: prctl(PR_SET_CHILD_SUBREAPER). */
  becomeSubreaper(): void;
  /** Makes an open folder the working directory of the whole process: fchdir(2). */
  changeDirectory(folder: Fd): void;
  openPidfd(pid: number): Fd;
  /** Sends a signal. Returns false when the process is gone. */
  signalPidfd(pidfd: Fd, signal: number): boolean;
  /** Whether the process behind a descriptor has ended with all of its threads, waited for or not. Never waits for the process. */
  hasEnded(pidfd: Fd): boolean;
  /** The exit of a child of this process; undefined while the child runs. */
  waitPidfd(pidfd: Fd): ProcessExit | undefined;
  /** Like `waitPidfd`, by pid. No other process can get the pid before the child was waited for. */
  waitChild(pid: number): ProcessExit | undefined;
  /**
   * Whether waiting for a child of this process would return at once. Does not take the exit. False if the process is not a child any more,
   * and for a zombie whose other threads still run.
   */
  isWaitable(pid: number): boolean;
  createEpoll(): Fd;
  addToEpoll(epollFd: Fd, fd: Fd): void;
  removeFromEpoll(epollFd: Fd, fd: Fd): void;
  /** Descriptors that are ready now, at most `limit`; returns at once. */
  pollEpoll(epollFd: Fd, limit: number): readonly Fd[];
  /** Like `pollEpoll`, but waits up to `timeoutMs` on another thread. Undefined if the engine has no such threads. */
  readonly waitEpoll:
    | ((epollFd: Fd, limit: number, timeoutMs: number) => Promise<readonly Fd[]>)
    | undefined;

  /** A non-blocking netlink socket in a network namespace, for queries about its sockets: setns(2), sock_diag(7). */
  openSocketDiagnosis(namespace: Fd): Fd;
  /** Opens a file below /proc/net of a network namespace for reading, such as `sockstat`. Throws ENOENT if the kernel has none of this name. */
  openNetFile(namespace: Fd, name: string): Fd;

  // streams
  /** A close-on-exec pipe: [read end, write end]. */
  createPipe(): readonly [Fd, Fd];
  /** A listening, close-on-exec and non-blocking unix stream socket, bound to `path`. */
  listenUnix(path: string): Fd;
  /** Accepts a waiting connection and returns the descriptor that its first message carries. Throws EAGAIN if no connection waits. */
  receiveFd(listenFd: Fd): Fd;
  windowSize(ttyFd: Fd): WindowSize;
  setWindowSize(ttyFd: Fd, size: WindowSize): void;
}

export interface LockOptions {
  readonly wait: boolean;
  /** Default: exclusive. */
  readonly shared?: boolean;
}

/** An open loop device; its receiver closes `fd` with `node:fs`. */
export interface LoopDevice {
  readonly fd: Fd;
  /** `/dev/loop3`. */
  readonly path: string;
}

export interface DiskAmount {
  readonly bytes: number;
  /** Files, folders and links: everything that has an inode. */
  readonly inodes: number;
}

/** The device that a node stands for: character or block device, and its number. */
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

/** A refused system call; `code` is the name of the errno, as in Node's errors. */
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

/** Makes a detached mount of a filesystem that needs no device; whoever receives it closes it. `attributes` are MOUNT_ATTR_* bits. */
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
