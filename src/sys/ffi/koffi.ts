/** FFI on Node, by koffi. */
import koffi from 'koffi';
import { type Ffi, type LibcFunction, libcArity, returnsLong } from './contract.ts';

type BoundFunction = ReturnType<ReturnType<typeof koffi.load>['func']>;

const libc = koffi.load(null);
const bound = new Map<LibcFunction, BoundFunction>();

function bind(name: LibcFunction): BoundFunction {
  const known = bound.get(name);
  if (known !== undefined) return known;
  const parameters = Array.from({ length: libcArity[name] }, () => 'int64_t').join(', ');
  const result = returnsLong.has(name) ? 'int64_t' : 'int';
  const made = libc.func(`${result} ${name}(${parameters})`);
  bound.set(name, made);
  return made;
}

function toInteger(argument: number | bigint | Uint8Array): number | bigint {
  return argument instanceof Uint8Array ? koffi.address(argument) : argument;
}

export const ffi: Ffi = {
  call(name, ...args) {
    // Strings live in buffers of their own until the call has returned.
    const memory = args.map((argument) =>
      typeof argument === 'string' ? Buffer.from(`${argument}\0`) : argument,
    );
    const padded = memory.map(toInteger);
    while (padded.length < libcArity[name]) padded.push(0);
    const result = Number(bind(name)(...padded));
    return result === -1 ? -koffi.errno() : result;
  },
  addressOf: (memory) => koffi.address(memory),
  epollWaitAsync: (epollFd, events, maxEvents, timeoutMs) =>
    new Promise((resolve, reject) => {
      bind('epoll_wait').async(
        epollFd,
        koffi.address(events),
        maxEvents,
        timeoutMs,
        (error: Error | null, ready: number) => {
          if (error === null) resolve(Math.max(0, ready));
          else reject(error);
        },
      );
    }),
};
