/**
 * Calls libc functions that the kernel may delay for milliseconds. They run on a thread of the pool if the engine has one, so that the event
 * loop goes on.
 */
import { ffi } from '#ffi';
import { atMost } from '../core/at-most.ts';
import type { FfiArgument, LibcFunction } from './ffi/contract.ts';

/** The pool has four threads by default; other calls need some of them. */
const onPool = atMost(2);

/** Resolves to the function's result; a negative result means failure. A call on the pool loses its errno. */
export function callAside(name: LibcFunction, ...args: readonly FfiArgument[]): Promise<number> {
  const { callOnPool } = ffi;
  return callOnPool === undefined
    ? Promise.resolve(ffi.call(name, ...args))
    : onPool(() => callOnPool(name, ...args));
}
