/** FFI on Node, by koffi. */
import koffi from 'koffi';
import { type Ffi, type LibcFunction, libcArity, returnsLong } from './contract.ts';
import { libcCalls } from './libc-calls.ts';

const libc = koffi.load(null);

function bind(name: LibcFunction) {
  const parameters = Array.from({ length: libcArity[name] }, () => 'int64_t').join(', ');
  const result = returnsLong.has(name) ? 'int64_t' : 'int';
  return libc.func(`${result} ${name}(${parameters})`);
}

let epollWait: ReturnType<typeof bind> | undefined;

export const ffi: Ffi = {
  ...libcCalls({
    bind,
    addressOf: (memory) => koffi.address(memory),
    errno: () => koffi.errno(),
  }),
  epollWaitAsync: (epollFd, events, maxEvents, timeoutMs) =>
    new Promise((resolve, reject) => {
      epollWait ??= bind('epoll_wait');
      epollWait.async(
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
