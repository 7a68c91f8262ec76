/**
 * The interface and common part of both FFI adapters (`koffi.ts` on Node, `bun.ts` in the executable): binds a function at its first call, holds
 * the memory that the call uses, and returns its errno. `#ffi` picks an adapter.
 */

/** A C integer, a NUL-terminated string, or memory for the call to read or write. */
export type FfiArgument = number | bigint | string | Uint8Array;

/**
 * libc functions bound by name, with the number of integer arguments of each call. Newer system calls go through `syscall` (a number and up to
 * six arguments); their numbers are the same on x86-64 and arm64.
 */
export const libcArity = {
  accept4: 4,
  bind: 3,
  close: 1,
  epoll_create1: 1,
  epoll_ctl: 4,
  epoll_wait: 4,
  fchdir: 1,
  fchownat: 5,
  flock: 2,
  getdents64: 3,
  inotify_add_watch: 3,
  inotify_init1: 1,
  ioctl: 3,
  linkat: 5,
  listen: 2,
  lseek: 3,
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
  sendto: 6,
  setns: 2,
  socket: 3,
  syscall: 7,
  umount2: 2,
  waitid: 5,
} as const;

export type LibcFunction = keyof typeof libcArity;

/** Functions whose result is a C `long`; the others return `int`. */
export const returnsLong: ReadonlySet<LibcFunction> = new Set([
  ...(['getdents64', 'lseek', 'recvmsg', 'sendto', 'syscall'] as const),
]);

export interface Ffi {
  /** Calls a libc function. Returns its result, or minus errno if it returned -1. */
  call(name: LibcFunction, ...args: readonly FfiArgument[]): number;
  /** The address of memory, valid for the next call only. */
  addressOf(memory: Uint8Array): bigint;
  /** Whether the C library has the function; some lack the newest ones. */
  has(name: LibcFunction): boolean;
  /**
   * Calls a libc function on a pool thread and resolves to its result. A failure is -1 without errno, which belongs to that thread. Callers limit
   * how many calls run at once. Undefined if the engine has no pool.
   */
  readonly callOnPool:
    | ((name: LibcFunction, ...args: readonly FfiArgument[]) => Promise<number>)
    | undefined;
}

export type BoundFunction = (...args: readonly (number | bigint)[]) => number | bigint;

export interface Engine<Bound extends BoundFunction> {
  /** Throws if the C library lacks the function. */
  bind(name: LibcFunction): Bound;
  addressOf(memory: Uint8Array): number | bigint;
  /** The errno of a call that has just returned -1. */
  errno(): number;
}

/** A call for the adapter to make itself. */
export interface PreparedCall<Bound extends BoundFunction> {
  readonly bound: Bound;
  readonly integers: readonly (number | bigint)[];
  /** Memory that the call uses; keep it until the call returns. */
  readonly memory: readonly Uint8Array[];
}

interface LibcCalls<Bound extends BoundFunction> extends Pick<Ffi, 'call' | 'addressOf' | 'has'> {
  prepare(name: LibcFunction, args: readonly FfiArgument[]): PreparedCall<Bound>;
}

export function libcCalls<Bound extends BoundFunction>(engine: Engine<Bound>): LibcCalls<Bound> {
  const boundFunctions = new Map<LibcFunction, Bound>();
  /** Memory of the next call, kept until it returns: the engine frees memory that no variable holds, and does not follow addresses. */
  const held: Uint8Array[] = [];

  // Functions are compiled at their first call, because a short command needs few of them.
  const bind = (name: LibcFunction): Bound => {
    const known = boundFunctions.get(name);
    if (known !== undefined) return known;
    const made = engine.bind(name);
    boundFunctions.set(name, made);
    return made;
  };
  const addressOf = (memory: Uint8Array): number | bigint => {
    held.push(memory);
    return engine.addressOf(memory);
  };
  const toInteger = (argument: FfiArgument): number | bigint => {
    if (typeof argument === 'string') return addressOf(Buffer.from(`${argument}\0`));
    return argument instanceof Uint8Array ? addressOf(argument) : argument;
  };
  const toIntegers = (name: LibcFunction, args: readonly FfiArgument[]) => {
    const integers = args.map(toInteger);
    while (integers.length < libcArity[name]) integers.push(0);
    return integers;
  };

  return {
    call(name, ...args) {
      const call = bind(name);
      const result = Number(call(...toIntegers(name, args)));
      const returned = result === -1 ? -engine.errno() : result;
      held.length = 0;
      return returned;
    },
    prepare(name, args) {
      const bound = bind(name);
      const integers = toIntegers(name, args);
      return { bound, integers, memory: held.splice(0) };
    },
    has(name) {
      try {
        bind(name);
        return true;
      } catch {
        return false;
      }
    },
    addressOf: (memory) => BigInt(addressOf(memory)),
  };
}
