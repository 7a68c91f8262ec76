/** Calls libc functions: turns errno into a {@link SystemError}, and runs calls that the kernel may delay on a pool thread. */
import { constants } from 'node:os';
import { ffi } from '#ffi';
import { atMost } from '../core/pause.ts';
import type { FfiArgument, LibcFunction } from './ffi/libc-calls.ts';
import { SystemError } from './system.ts';

/** Error numbers that Node's table lacks. */
const MORE_ERRNOS: Readonly<Record<string, number>> = { ENOTBLK: 15, EUCLEAN: 117 };

/** Linux has two names for these numbers; these are the ones used here. */
const CHOSEN_NAMES = ['EAGAIN', 'EOPNOTSUPP'] as const;

let errnoNames: ReadonlyMap<number, string> | undefined;

/** Built on the first unexpected error, because few tasks meet one. */
function nameErrnos(): ReadonlyMap<number, string> {
  const { errno } = constants;
  // Later entries win.
  const named = [
    ...Object.entries({ ...errno, ...MORE_ERRNOS }),
    ...CHOSEN_NAMES.map((name) => [name, errno[name]] as const),
  ];
  return new Map(named.map(([name, number]) => [number, name]));
}

export interface Invocation {
  /** The call's name for messages: `open_tree`, not `syscall`. */
  readonly name: string;
  /** The object of the call, usually a path. */
  readonly subject?: string | undefined;
}

/** Calls `fn`. Throws a {@link SystemError} on failure. */
export function invoke(as: Invocation, fn: LibcFunction, ...args: readonly FfiArgument[]): number {
  const result = ffi.call(fn, ...args);
  if (result < 0) throw toSystemError(as, -result);
  return result;
}

/** Like {@link invoke}, but returns undefined if the errno is one of `expected`. */
export function invokeUnless(
  expected: readonly string[],
  as: Invocation,
  fn: LibcFunction,
  ...args: readonly FfiArgument[]
): number | undefined {
  const result = ffi.call(fn, ...args);
  if (result >= 0) return result;
  // Creates no error here: recording its stack takes time, and most tasks meet some of these errno values.
  if (expected.some((code) => numberOf(code) === -result)) return undefined;
  throw toSystemError(as, -result);
}

/** Throws a {@link SystemError} unless `errno` is 0: for functions that return an error number instead of setting errno. */
export function requireDone(as: Invocation, errno: number): void {
  if (errno !== 0) throw toSystemError(as, errno);
}

const numberOf = (code: string): number | undefined =>
  constants.errno[code as keyof typeof constants.errno] ?? MORE_ERRNOS[code];

function toSystemError({ name, subject }: Invocation, errno: number): SystemError {
  errnoNames ??= nameErrnos();
  return new SystemError(name, errno, errnoNames.get(errno) ?? `E${errno}`, subject);
}

/** The pool has four threads by default; other calls need some of them. */
const onPool = atMost(2);

/**
 * Runs a call that may take milliseconds, on a pool thread if the engine has a pool. Resolves to its result; negative: it failed, its errno is
 * lost.
 */
export function callAside(name: LibcFunction, ...args: readonly FfiArgument[]): Promise<number> {
  const { callOnPool } = ffi;
  return callOnPool === undefined
    ? Promise.resolve(ffi.call(name, ...args))
    : onPool(() => callOnPool(name, ...args));
}
