/** FFI in the executable, by Bun. */
import { type BoundFunction, dlopen, type Pointer, ptr, read } from 'bun:ffi';
import {
  type Ffi,
  type FfiArgument,
  type LibcFunction,
  libcArity,
  returnsLong,
} from './contract.ts';

const { __errno_location: errnoLocation } = dlopen('libc.so.6', {
  __errno_location: { args: [], returns: 'ptr' },
}).symbols;

const bound = new Map<LibcFunction, BoundFunction>();

/** Each function is compiled when it is first called: a short command needs few of them. */
function bind(name: LibcFunction): BoundFunction {
  const known = bound.get(name);
  if (known !== undefined) return known;
  const args = Array<'i64'>(libcArity[name]).fill('i64');
  const returns = returnsLong.has(name) ? 'i64' : 'i32';
  const made = dlopen('libc.so.6', { [name]: { args, returns } }).symbols[name];
  if (made === undefined) throw new Error(`libc has no ${name}`);
  bound.set(name, made);
  return made;
}

function toInteger(argument: number | bigint | Uint8Array): number | bigint {
  return argument instanceof Uint8Array ? ptr(argument) : argument;
}

export const ffi: Ffi = {
  call(name, ...args: readonly FfiArgument[]) {
    const call = bind(name);
    // Strings live in buffers of their own until the call has returned.
    const memory = args.map((argument) =>
      typeof argument === 'string' ? Buffer.from(`${argument}\0`) : argument,
    );
    const padded = memory.map(toInteger);
    while (padded.length < libcArity[name]) padded.push(0);
    const result = Number(call(...padded));
    return result === -1 ? -read.i32(errnoLocation() as Pointer, 0) : result;
  },
  addressOf: (memory) => BigInt(ptr(memory)),
  epollWaitAsync: undefined,
};
