/** Opens the store of the queues that a URL names. The drivers are loaded only then. */
import { StackshimError } from '../../core/errors.ts';
import type { QueueStore, QueueStoreOptions } from './queue-store.ts';
import { parseStoreUrl } from './store-url.ts';

/**
 * Resolves once the store can be used, and fails within 10 s with the reason: ERR_STACKSHIM_STORE_INVALID, _UNREACHABLE, _DENIED,
 * _UNSUITABLE, _NOT_MIGRATED, _SKEWED. Later outages end no call: see {@link QueueStore}.
 */
export async function openStore(url: string, options: QueueStoreOptions): Promise<QueueStore> {
  const address = parseStoreUrl(url);
  if (address.kind === 'postgres') {
    throw new StackshimError(
      'ERR_STACKSHIM_STORE_INVALID',
      `open the store ${address.shown}: only Redis and Valkey are supported`,
    );
  }
  const { openRedis } = await import('./redis/open-redis.ts');
  return await openRedis(address, options);
}
