/** FFI in the executable, through Bun. */
import { dlopen, type Pointer, ptr, read } from 'bun:ffi';
import { reasonOf, StackshimError } from '../../core/errors.ts';
import { type Ffi, libcArity, libcCalls, returnsLong } from './libc-calls.ts';

const errnoLocation = findErrno();

/** The first FFI call. Fails if the engine got no memory for compiled code at its start. */
function findErrno() {
  try {
    const errno = { __errno_location: { args: [], returns: 'ptr' } } as const;
    return dlopen('libc.so.6', errno).symbols.__errno_location;
  } catch (cause) {
    throw new StackshimError('ERR_STACKSHIM_PROCESS_EXHAUSTED', `call libc: ${reasonOf(cause)}`, {
      hint: 'raise the limits of address space and data of this process (ulimit -v, ulimit -d)',
      cause,
    });
  }
}

const { call, addressOf, has } = libcCalls({
  bind(name) {
    const args = Array<'i64'>(libcArity[name]).fill('i64');
    const returns = returnsLong.has(name) ? 'i64' : 'i32';
    const made = dlopen('libc.so.6', { [name]: { args, returns } }).symbols[name];
    if (made === undefined) throw new Error(`libc has no ${name}`);
    return made;
  },
  addressOf: ptr,
  errno: () => read.i32(errnoLocation() as Pointer, 0),
});

export const ffi: Ffi = { call, addressOf, has, callOnPool: undefined };
