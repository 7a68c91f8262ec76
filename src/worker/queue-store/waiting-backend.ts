/** BullMQ's operations on one lane, each made again until the store can answer. */
import type { IQueueBackend } from 'bullmq';
import type { WaitOut } from './wait-out.ts';

/** Operations that do not return a promise, and everything that is not a function, pass unchanged. */
export function waitingBackend(backend: IQueueBackend, waitOut: WaitOut): IQueueBackend {
  return new Proxy(backend, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name, target);
      if (typeof found !== 'function') return found;
      return (...args: readonly unknown[]): unknown => {
        const made: unknown = found.apply(target, args);
        if (!(made instanceof Promise)) return made;
        let first: Promise<unknown> | undefined = made;
        return waitOut(() => {
          const call = first ?? found.apply(target, args);
          first = undefined;
          return call;
        });
      };
    },
  });
}
