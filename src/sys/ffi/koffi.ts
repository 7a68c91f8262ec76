/** FFI on Node, through koffi. */
import koffi from 'koffi';
import { type Ffi, type LibcFunction, libcArity, libcCalls, returnsLong } from './libc-calls.ts';

const libc = koffi.load(null);

function bind(name: LibcFunction) {
  const parameters = Array.from({ length: libcArity[name] }, () => 'int64_t').join(', ');
  const result = returnsLong.has(name) ? 'int64_t' : 'int';
  return libc.func(`${result} ${name}(${parameters})`);
}

const { prepare, ...calls } = libcCalls({
  bind,
  addressOf: (memory) => koffi.address(memory),
  errno: () => koffi.errno(),
});

/** Memory of running pool calls, referenced here so that it is not freed. */
const inUse = new Set<readonly Uint8Array[]>();

export const ffi: Ffi = {
  ...calls,
  callOnPool: (name, ...args) =>
    new Promise((resolve, reject) => {
      const { bound, integers, memory } = prepare(name, args);
      inUse.add(memory);
      bound.async(...integers, (error: Error | null, result: number | bigint) => {
        inUse.delete(memory);
        if (error === null) resolve(Number(result));
        else reject(error);
      });
    }),
};
