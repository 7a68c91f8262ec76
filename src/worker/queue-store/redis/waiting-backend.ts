/** BullMQ's operations on one lane, each retried until the store can answer. */
import type { IQueueBackend } from 'bullmq';
import { hasCode } from '../../../core/errors.ts';
import type { WaitOut } from '../wait-out.ts';

/** Takes job ids, each followed by its token. Resolves to the ids of lost locks. */
type RenewLocks = (pairs: readonly string[], lockMs: number) => Promise<unknown>;

/**
 * Wraps a backend so that its asynchronous operations wait out outages. Everything else passes unchanged.
 *
 * Locks can be renewed while the server's memory is full. BullMQ renews by setting a lock anew, which such a server refuses: the tasks of all jobs
 * would be ended because nobody could renew their locks.
 */
export function waitingBackend(
  backend: IQueueBackend,
  waitOut: WaitOut,
  renew: RenewLocks,
): IQueueBackend {
  const extendLocks: IQueueBackend['extendLocks'] = async (ids, tokens, lockMs) => {
    try {
      return await waitOut(() => backend.extendLocks(ids, tokens, lockMs));
    } catch (error) {
      if (!hasCode(error, 'ERR_STACKSHIM_STORE_FULL')) throw error;
      const pairs = ids.flatMap((id, at) => [id, tokens[at] ?? '']);
      return (await waitOut(() => renew(pairs, lockMs))) as string[];
    }
  };
  return new Proxy(backend, {
    get(target, name) {
      if (name === 'extendLocks') return extendLocks;
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
