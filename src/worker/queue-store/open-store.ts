/** Opens the store that a URL names. Loads only that store's driver. */
import type { QueueStore, QueueStoreOptions } from './queue-store.ts';
import { parseStoreUrl } from './store-url.ts';

/**
 * Resolves once the store can be used. Rejects within 10 s with ERR_STACKSHIM_STORE_INVALID, _UNREACHABLE, _DENIED, _UNSUITABLE, _NOT_MIGRATED or
 * _SKEWED. Later outages end no call: see {@link QueueStore}.
 */
export async function openStore(url: string, options: QueueStoreOptions): Promise<QueueStore> {
  const address = parseStoreUrl(url);
  if (address.kind === 'redis') {
    const { openRedis } = await import('./redis/redis-store.ts');
    return await openRedis(address, options);
  }
  const { openPostgres } = await import('./postgres/postgres-store.ts');
  return await openPostgres(address, options);
}

/** Creates or updates the queue tables on PostgreSQL; Redis needs none. Fails like {@link openStore}. */
export async function migrateStore(url: string): Promise<void> {
  const address = parseStoreUrl(url);
  if (address.kind === 'redis') return;
  const { migratePostgres } = await import('./postgres/postgres-store.ts');
  await migratePostgres(address);
}
