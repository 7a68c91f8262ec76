/** Calls of libc: their errno turned into a {@link SystemError}, and those that the kernel may hold up on a thread of the pool. */
import { constants } from 'node:os';
import { ffi } from '#ffi';
import { atMost } from '../core/pause.ts';
import type { FfiArgument, LibcFunction } from './ffi/libc-calls.ts';
import { SystemError } from './system.ts';

/** Error numbers that Node's table lacks. */
const MORE_ERRNOS: Readonly<Record<string, number>> = { ENOTBLK: 15, EUCLEAN: 117 };

/** Of the names that Linux gives twice, those that are used here. */
const CHOSEN_NAMES = ['EAGAIN', 'EOPNOTSUPP'] as const;

let errnoNames: ReadonlyMap<number, string> | undefined;

/** Made at the first error: few tasks meet one that is not expected. */
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
  /** The call as a message names it: `open_tree`, not `syscall`. */
  readonly name: string;
  /** What it was done to: a path, mostly. */
  readonly subject?: string;
}

/** Calls `fn`. Throws a {@link SystemError} when it fails. */
export function invoke(as: Invocation, fn: LibcFunction, ...args: readonly FfiArgument[]): number {
  const result = ffi.call(fn, ...args);
  if (result < 0) throw toSystemError(as, -result);
  return result;
}

/** The same, returning undefined where the errno is one of `expected`. */
export function invokeUnless(
  expected: readonly string[],
  as: Invocation,
  fn: LibcFunction,
  ...args: readonly FfiArgument[]
): number | undefined {
  const result = ffi.call(fn, ...args);
  if (result >= 0) return result;
  // Without an error, which would record where it was made: most tasks meet some of these.
  if (expected.some((code) => numberOf(code) === -result)) return undefined;
  throw toSystemError(as, -result);
}

/** Of a function that returns its error instead of setting errno: throws a {@link SystemError} unless that is 0. */
export function requireDone(as: Invocation, errno: number): void {
  if (errno !== 0) throw toSystemError(as, errno);
}

function codeOf(errno: number): string {
  errnoNames ??= nameErrnos();
  return errnoNames.get(errno) ?? `E${errno}`;
}

const numberOf = (code: string): number | undefined =>
  constants.errno[code as keyof typeof constants.errno] ?? MORE_ERRNOS[code];

const toSystemError = (as: Invocation, errno: number): SystemError =>
  new SystemError(as.name, errno, codeOf(errno), as.subject);

/** The pool has four threads by default, which other calls need as well. */
const onPool = atMost(2);

/** Calls a function that may take milliseconds, on a thread of the pool where the engine has one. Resolves to its result, which is negative when the call failed. On the pool the errno is lost. */
export function callAside(name: LibcFunction, ...args: readonly FfiArgument[]): Promise<number> {
  const { callOnPool } = ffi;
  return callOnPool === undefined
    ? Promise.resolve(ffi.call(name, ...args))
    : onPool(() => callOnPool(name, ...args));
}
