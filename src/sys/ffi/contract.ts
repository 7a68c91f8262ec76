/** What both FFI adapters (`koffi.ts` on Node, `bun.ts` in the executable) offer. `#ffi` picks one. */

/** A C integer, a NUL-terminated string, or memory that the call reads or writes. */
export type FfiArgument = number | bigint | string | Uint8Array;

/** libc functions that are bound by name; newer calls go through `syscall`, whose numbers are the same on x86-64 and arm64. */
export type LibcFunction =
  | 'accept4'
  | 'bind'
  | 'epoll_create1'
  | 'epoll_ctl'
  | 'epoll_wait'
  | 'flock'
  | 'ioctl'
  | 'listen'
  | 'mount'
  | 'pipe2'
  | 'prctl'
  | 'recvmsg'
  | 'socket'
  | 'syscall'
  | 'umount2'
  | 'waitid';

export interface Ffi {
  /** Calls a libc function. Returns its result, or minus errno where it returned -1. */
  call(name: LibcFunction, ...args: readonly FfiArgument[]): number;
  /** The address of memory, valid while the caller holds it. */
  addressOf(memory: Uint8Array): bigint;
  /** `epoll_wait` on a pool thread: resolves to the number of ready descriptors; undefined where the engine has no such threads. */
  readonly epollWaitAsync:
    | ((epollFd: number, events: Uint8Array, maxEvents: number, timeoutMs: number) => Promise<number>)
    | undefined;
}
