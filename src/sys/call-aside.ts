/** Calls of libc that the kernel may hold up for milliseconds: on a thread of the pool where the engine has one, so that the event loop goes on. */
import { ffi } from '#ffi';
import { atMost } from '../core/at-most.ts';
import type { FfiArgument, LibcFunction } from './ffi/contract.ts';

/** The pool has four threads by default, which other calls need as well. */
const onPool = atMost(2);

/** Resolves to the function's result, which is negative when the call failed. On the pool the errno is lost. */
export function callAside(name: LibcFunction, ...args: readonly FfiArgument[]): Promise<number> {
  const { callOnPool } = ffi;
  return callOnPool === undefined
    ? Promise.resolve(ffi.call(name, ...args))
    : onPool(() => callOnPool(name, ...args));
}
