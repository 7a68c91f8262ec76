/** Calls of libc that the kernel may hold up for milliseconds: not on the thread of the event loop, where there is another. */
import { ffi } from '#ffi';
import { atMost } from '../core/at-most.ts';
import type { FfiArgument, LibcFunction } from './ffi/contract.ts';

/** Of the pool's threads, of which there are four: the rest is for others. */
const onPool = atMost(2);

/** Resolves to the result: negative where the call failed, for a reason that is not told. */
export function callAside(name: LibcFunction, ...args: readonly FfiArgument[]): Promise<number> {
  const { callOnPool } = ffi;
  return callOnPool === undefined
    ? Promise.resolve(ffi.call(name, ...args))
    : onPool(() => callOnPool(name, ...args));
}
