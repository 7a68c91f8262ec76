/** What both FFI adapters (`koffi.ts` on Node, `bun.ts` in the executable) offer. `#ffi` picks one. */

/** A C integer, a NUL-terminated string, or memory that the call reads or writes. */
export type FfiArgument = number | bigint | string | Uint8Array;

/**
 * libc functions that are bound by name, with the number of integer arguments of each call. Newer calls go through `syscall` (a number and
 * up to six arguments); their numbers are the same on x86-64 and arm64.
 */
export const libcArity = {
  accept4: 4,
  bind: 3,
  close: 1,
  epoll_create1: 1,
  epoll_ctl: 4,
  epoll_wait: 4,
  fchdir: 1,
  flock: 2,
  inotify_add_watch: 3,
  inotify_init1: 1,
  ioctl: 3,
  listen: 2,
  mount: 5,
  pipe2: 2,
  poll: 3,
  posix_spawn: 6,
  posix_spawn_file_actions_addchdir_np: 2,
  posix_spawn_file_actions_addclosefrom_np: 2,
  posix_spawn_file_actions_adddup2: 3,
  posix_spawn_file_actions_destroy: 1,
  posix_spawn_file_actions_init: 1,
  posix_spawnattr_init: 1,
  posix_spawnattr_setflags: 2,
  posix_spawnattr_setsigdefault: 2,
  posix_spawnattr_setsigmask: 2,
  prctl: 5,
  recvmsg: 3,
  setns: 2,
  socket: 3,
  syscall: 7,
  umount2: 2,
  waitid: 5,
} as const;

export type LibcFunction = keyof typeof libcArity;

/** Functions whose result is a C `long`; the others return `int`. */
export const returnsLong: ReadonlySet<LibcFunction> = new Set(['recvmsg', 'syscall']);

export interface Ffi {
  /** Calls a libc function. Returns its result, or minus errno if it returned -1. */
  call(name: LibcFunction, ...args: readonly FfiArgument[]): number;
  /** The address of memory, for the next call only. */
  addressOf(memory: Uint8Array): bigint;
  /** Whether the C library has the function: some lack the newest ones. */
  has(name: LibcFunction): boolean;
  /**
   * Calls a libc function on a thread of the pool and resolves to its result. A failure is -1 without an errno, because errno belongs to
   * that thread. Callers limit how many calls run at once. Undefined if the engine has no such threads.
   */
  readonly callOnPool:
    | ((name: LibcFunction, ...args: readonly FfiArgument[]) => Promise<number>)
    | undefined;
}
