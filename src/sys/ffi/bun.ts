/** FFI in the executable, by Bun. */
import { dlopen, type Pointer, ptr, read } from 'bun:ffi';
import { type Ffi, libcArity, returnsLong } from './contract.ts';
import { libcCalls } from './libc-calls.ts';

const { __errno_location: errnoLocation } = dlopen('libc.so.6', {
  __errno_location: { args: [], returns: 'ptr' },
}).symbols;

export const ffi: Ffi = {
  ...libcCalls({
    bind(name) {
      const args = Array<'i64'>(libcArity[name]).fill('i64');
      const returns = returnsLong.has(name) ? 'i64' : 'i32';
      const made = dlopen('libc.so.6', { [name]: { args, returns } }).symbols[name];
      if (made === undefined) throw new Error(`libc has no ${name}`);
      return made;
    },
    addressOf: ptr,
    errno: () => read.i32(errnoLocation() as Pointer, 0),
  }),
  epollWaitAsync: undefined,
};
