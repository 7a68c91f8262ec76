/**
 * The kernel, as stackshim uses it. One implementation (`linux-system.ts`) calls libc; tests of pure rooms use a recording fake.
 * Every method throws a {@link SystemError} when the kernel refuses, unless its comment says otherwise.
 */

/** An open file descriptor; whoever receives it closes it. */
export type Fd = number;

export interface System {
  // mounts: open_tree(2), mount_setattr(2), fsopen(2), fsconfig(2), fsmount(2), move_mount(2), umount2(2)
  /** Clones the mount (or the folder or file as a bind) at `path`, detached. */
  openTreeClone(path: string): Fd;
  /**
   * The same with the mounts below it, for a path whose links were resolved earlier: ELOOP when one has been put into it since
   * (openat2(2) with RESOLVE_NO_SYMLINKS).
   */
  openRealTreeClone(path: string): Fd;
  /**
   * Maps the ids of a detached mount through a user namespace; with `recursive` those of all mounts below it, or of none when it throws.
   */
  idmapMount(mountFd: Fd, userNamespaceFd: Fd, options?: { readonly recursive: boolean }): void;
  /** Sets MOUNT_ATTR_* bits on a detached mount and makes it private. */
  restrictMount(mountFd: Fd, attributes: number, options: { readonly recursive: boolean }): void;
  fsOpen(filesystem: string): Fd;
  fsConfigString(contextFd: Fd, key: string, value: string): void;
  fsConfigFlag(contextFd: Fd, key: string): void;
  fsConfigFd(contextFd: Fd, key: string, fd: Fd): void;
  fsConfigCreate(contextFd: Fd): void;
  /**
   * The same on a thread of the pool where the engine has one, for a filesystem that is read from a disk. Resolves to false when the kernel
   * refuses; a context of its own tells why.
   */
  fsConfigCreateAside(contextFd: Fd): Promise<boolean>;
  /** What the kernel logged in a filesystem context since it was opened: the reason behind an EINVAL. */
  fsContextLog(contextFd: Fd): string;
  fsMount(contextFd: Fd, attributes: number): Fd;
  attachMount(mountFd: Fd, target: string): void;
  bindMount(source: string, target: string): void;
  /** Mounts a filesystem by the old call, whose options are one string of at most a page: mount(2) with MS_* flags. */
  mountByString(
    filesystem: string,
    target: string,
    mount: { readonly flags: number; readonly options: string },
  ): void;
  /** Detaches the topmost mount at `target`. Returns false when nothing is mounted there. */
  detachMount(target: string): boolean;
  /**
   * The same on a thread of the pool where the engine has one: the kernel waits until no processor can be using the mount any more. For
   * what is mounted: to ask about nothing is quicker at once.
   */
  detachMountAside(target: string): Promise<boolean>;

  // files
  /** Makes a device node with mode 0600 at most: mknod(2). */
  makeDeviceNode(path: string, device: DeviceNumber): void;
  /** Takes an exclusive flock, or one that others may share. Returns false when another open file holds it and `wait` is false. */
  lockFile(fd: Fd, options: LockOptions): boolean;
  /** Opens a path for reading with every link resolved beneath `rootFd`: openat2(2) with RESOLVE_IN_ROOT. Never waits. */
  openInRoot(rootFd: Fd, path: string): Fd;
  /**
   * A non-blocking descriptor that can be read from whenever an entry of the folder came, went or was renamed, or the folder itself
   * went or was moved. What is read are the events of inotify(7).
   */
  watchFolder(path: string): Fd;
  /**
   * Closes a descriptor that a method of this port has opened; one that is closed already is an error. What `node:fs` has opened it
   * must close as well: it keeps count in worker threads.
   */
  close(fd: Fd): void;
  /** The same on a thread of the pool where the engine has one: to close a detached mount takes as long as to detach one. */
  closeAside(fd: Fd): Promise<void>;

  // disk space: loop(4), quotactl_fd(2)
  /** Attaches an open file to a free loop device, which is free again when nobody has it open or mounted any more. */
  attachLoopDevice(fileFd: Fd): LoopDevice;
  /** The same on a thread of the pool where the engine has one: what is in the file is first written to the disk. */
  attachLoopDeviceAside(fileFd: Fd): Promise<LoopDevice>;
  /** Has the ext4 filesystem of an open folder forget what it has not written yet, and refuse everything from here on. */
  shutDownFilesystem(folderFd: Fd): void;
  /** Whether the filesystem of an open folder holds projects to their limits. False where it knows no projects. */
  enforcesProjectQuota(folderFd: Fd): boolean;
  /** Puts an open, empty folder, and whatever will be made in it, into a project. */
  setProject(folderFd: Fd, project: number): void;
  /** Sets what a project may take on the filesystem of an open folder; 0: no limit. */
  limitProject(folderFd: Fd, project: number, limit: DiskAmount): void;
  readProjectUsage(folderFd: Fd, project: number): DiskAmount;

  // processes
  /** Makes orphaned descendants ours to wait for: prctl(PR_SET_CHILD_SUBREAPER). */
  becomeSubreaper(): void;
  /** Makes an open folder the working directory of the whole process: fchdir(2). */
  changeDirectory(folder: Fd): void;
  openPidfd(pid: number): Fd;
  /** Sends a signal. Returns false when the process is gone. */
  signalPidfd(pidfd: Fd, signal: number): boolean;
  /** Whether the process behind a descriptor has ended, waited for or not: all of its threads have. Asks nothing of the process. */
  hasEnded(pidfd: Fd): boolean;
  /** The exit of a child of ours, undefined while it runs. */
  waitPidfd(pidfd: Fd): ProcessExit | undefined;
  /** The same by its number, which no other process can have before the child was waited for. */
  waitChild(pid: number): ProcessExit | undefined;
  /**
   * Whether waiting for a child of ours would return at once; leaves its exit for whoever waits. False for one that is no child any
   * more, and for a zombie whose other threads still run.
   */
  isWaitable(pid: number): boolean;
  createEpoll(): Fd;
  addToEpoll(epollFd: Fd, fd: Fd): void;
  removeFromEpoll(epollFd: Fd, fd: Fd): void;
  /** Descriptors that are ready now, at most `limit`; returns at once. */
  pollEpoll(epollFd: Fd, limit: number): readonly Fd[];
  /** The same, waiting on another thread up to `timeoutMs`; undefined where the engine cannot. */
  readonly waitEpoll:
    | ((epollFd: Fd, limit: number, timeoutMs: number) => Promise<readonly Fd[]>)
    | undefined;

  /** A non-blocking netlink socket in a network namespace, for questions about the sockets there: setns(2), sock_diag(7). */
  openSocketDiagnosis(namespace: Fd): Fd;
  /** A file of a network namespace, for reading: `sockstat` of /proc/net. ENOENT: the kernel has none of this name. */
  openNetFile(namespace: Fd, name: string): Fd;

  // streams
  /** A close-on-exec pipe: [read end, write end]. */
  createPipe(): readonly [Fd, Fd];
  /** A listening close-on-exec, non-blocking unix stream socket bound at `path`. */
  listenUnix(path: string): Fd;
  /** Accepts a waiting connection and takes the descriptor sent with its first message. Throws EAGAIN when none waits. */
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
  /** Files, folders, links: whatever has an inode. */
  readonly inodes: number;
}

/** Which device of the kernel a node stands for: character or block device, and its number. */
export interface DeviceNumber {
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
}

export interface ProcessExit {
  /** Exit code 0-255, null when a signal ended it. */
  readonly exitCode: number | null;
  /** Signal number, null when it exited. */
  readonly signal: number | null;
}

/** Of a terminal, in character cells. */
export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** A refused system call; `code` is the errno's name as Node gives it. */
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
  IDMAP: 0x10_0000,
} as const;
