/**
 * Starts programs by posix_spawn(3), without copying this process. Node's `spawn` forks and copies the page tables of the whole process while the
 * event loop is blocked: 33 ms for 900 MB, against 0.2 ms.
 */
import { readFileSync } from 'node:fs';
import { ffi } from '#ffi';
import { atMost } from '../core/pause.ts';
import type { FfiArgument, LibcFunction } from './ffi/libc-calls.ts';
import { requireDone } from './invoke.ts';
import type { Fd } from './system.ts';

export interface SpawnRequest {
  /** An absolute path. */
  readonly path: string;
  readonly args: readonly string[];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Descriptors 0, 1, 2 and so on; the program gets no others. */
  readonly stdio: readonly Fd[];
  /** The working directory. Default: `/`. */
  readonly cwd?: string;
}

/** Larger than posix_spawn_file_actions_t (80 bytes) and posix_spawnattr_t (336 bytes) of any C library. */
const STRUCT_BYTES = 1024;
const SIGSET_BYTES = 128;
/** Signals 1 to 64. */
const ALL_SIGNALS_BYTES = 8;
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const POSIX_SPAWN_SETSID = 0x80;
const POINTER_BYTES = 8;
/** Files that a runtime creates in a task are for the task's users, whatever the caller's umask. */
const UMASK = 0o022;
const WITH_UMASK = `umask 0${UMASK.toString(8)}; exec "$@"`;

/**
 * Starts a program with umask 022 as the leader of its own session, with all signals at default and none blocked. Resolves to its pid; the caller
 * may then close its copies of the descriptors, and must wait for the program. Rejects with a {@link SystemError} if the program is missing or
 * not executable. Runs on a pool thread if the engine has a pool, because posix_spawn(3) returns only once the program is loaded.
 */
export async function posixSpawn(request: SpawnRequest): Promise<number> {
  const as = { name: 'posix_spawn', subject: request.path };
  const pid = Buffer.alloc(4);
  const actions = toFileActions(request);
  try {
    const [path = request.path, ...rest] = toCommand(request);
    const args = toStringTable([path, ...rest]);
    const env = toStringTable(
      Object.entries(request.env).map(([name, value]) => `${name}=${value}`),
    );
    requireDone(as, await spawn(pid, path, actions, sharedAttributes(), args, env));
    return pid.readInt32LE(0);
  } finally {
    call('posix_spawn_file_actions_destroy', actions);
  }
}

/** Each start can occupy a pool thread for milliseconds; the pool has four by default. */
const onPool = atMost(2);

function spawn(...args: readonly FfiArgument[]): number | Promise<number> {
  const { callOnPool } = ffi;
  if (callOnPool !== undefined) return onPool(() => callOnPool('posix_spawn', ...args));
  // Without a pool there is only this thread, so no other code creates files with this umask.
  const umask = process.umask(UMASK);
  try {
    return ffi.call('posix_spawn', ...args);
  } finally {
    process.umask(umask);
  }
}

/**
 * The command to start. On Node the program inherits the process's umask, which must not change, because other threads of the host program create
 * files at any time. If it is not 022, a shell sets it and then becomes the program.
 */
function toCommand({ path, args }: SpawnRequest): readonly string[] {
  const isUsual = ffi.callOnPool === undefined || readUmask() === UMASK;
  return isUsual ? [path, ...args] : ['/bin/sh', '-c', WITH_UMASK, 'sh', path, ...args];
}

/** Reads /proc, because `process.umask()` would change the umask for a moment. */
function readUmask(): number | undefined {
  const octal = /^Umask:\t(\d+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return octal === undefined ? undefined : Number.parseInt(octal, 8);
}

/** Calls a function that returns its error number. */
function call(name: LibcFunction, ...args: readonly FfiArgument[]): void {
  requireDone({ name }, ffi.call(name, ...args));
}

let attributes: Buffer | undefined;

/** The attributes of all programs started here. */
function sharedAttributes(): Buffer {
  if (attributes !== undefined) return attributes;
  const made = Buffer.alloc(STRUCT_BYTES);
  const signals = Buffer.alloc(SIGSET_BYTES);
  call('posix_spawnattr_init', made);
  call('posix_spawnattr_setsigmask', made, signals);
  call('posix_spawnattr_setsigdefault', made, signals.fill(0xff, 0, ALL_SIGNALS_BYTES));
  const flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID;
  call('posix_spawnattr_setflags', made, flags);
  attributes = made;
  return made;
}

function toFileActions({ stdio, cwd = '/' }: SpawnRequest): Buffer {
  const actions = Buffer.alloc(STRUCT_BYTES);
  call('posix_spawn_file_actions_init', actions);
  try {
    for (const [from, to] of planDuplicates(stdio)) {
      call('posix_spawn_file_actions_adddup2', actions, from, to);
    }
    // Close all descriptors that a library of this process opened without close-on-exec. musl lacks this action.
    if (ffi.has('posix_spawn_file_actions_addclosefrom_np')) {
      call('posix_spawn_file_actions_addclosefrom_np', actions, stdio.length);
    }
    call('posix_spawn_file_actions_addchdir_np', actions, cwd);
    return actions;
  } catch (error) {
    call('posix_spawn_file_actions_destroy', actions);
    throw error;
  }
}

/**
 * The dup2(2) calls, in order, that turn `stdio` into descriptors 0, 1, 2 and so on. First moves each descriptor whose number an earlier call
 * would overwrite to a free number. Includes descriptors that keep their number: dup2 onto itself keeps them open in the program. Exported for
 * its test.
 */
export function planDuplicates(stdio: readonly Fd[]): readonly (readonly [from: Fd, to: Fd])[] {
  let free = Math.max(stdio.length, ...stdio) + 1;
  const moves: [Fd, Fd][] = [];
  const places = stdio.map((fd, number): [Fd, Fd] => {
    if (fd >= number) return [fd, number];
    moves.push([fd, free]);
    free += 1;
    return [free - 1, number];
  });
  return [...moves, ...places];
}

/** A NULL-terminated array of C strings, followed by the strings. */
function toStringTable(strings: readonly string[]): Buffer {
  if (strings.some((string) => string.includes('\0'))) {
    throw new TypeError('an argument of a program contains a NUL');
  }
  const start = (strings.length + 1) * POINTER_BYTES;
  const text = Buffer.from(strings.map((string) => `${string}\0`).join(''));
  const table = Buffer.concat([Buffer.alloc(start), text]);
  let address = ffi.addressOf(table) + BigInt(start);
  for (const [index, string] of strings.entries()) {
    table.writeBigUInt64LE(address, index * POINTER_BYTES);
    address += BigInt(Buffer.byteLength(string) + 1);
  }
  return table;
}
