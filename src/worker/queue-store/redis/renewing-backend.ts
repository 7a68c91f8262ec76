/**
 * Renews locks also while the server's memory is full: BullMQ sets a lock anew, which such a server refuses, and the tasks of all jobs would
 * be ended because nobody could renew their locks.
 */
import type { IQueueBackend } from 'bullmq';
import { hasCode } from '../../../core/errors.ts';

/** Resolves to the ids of the locks that are lost. */
export type RenewLocks = (
  locks: readonly { readonly id: string; readonly token: string }[],
  lockMs: number,
) => Promise<string[]>;

export function renewingBackend(backend: IQueueBackend, renew: RenewLocks): IQueueBackend {
  const extendLocks: IQueueBackend['extendLocks'] = async (ids, tokens, lockMs) => {
    try {
      return await backend.extendLocks(ids, tokens, lockMs);
    } catch (error) {
      if (!hasCode(error, 'ERR_STACKSHIM_STORE_FULL')) throw error;
      const locks = ids.map((id, at) => ({ id, token: tokens[at] ?? '' }));
      return await renew(locks, lockMs);
    }
  };
  return new Proxy(backend, {
    get: (target, name) =>
      name === 'extendLocks' ? extendLocks : Reflect.get(target, name, target),
  });
}
