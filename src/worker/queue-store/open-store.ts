/** Opens the store of the queues that a URL names. The drivers are loaded only then. */
import type { QueueStore, QueueStoreOptions } from './queue-store.ts';
import { parseStoreUrl } from './store-url.ts';

/**
 * Resolves once the store can be used, and fails within 10 s with the reason: ERR_STACKSHIM_STORE_INVALID, _UNREACHABLE, _DENIED,
 * _UNSUITABLE, _NOT_MIGRATED, _SKEWED. Later outages end no call: see {@link QueueStore}.
 */
export async function openStore(url: string, options: QueueStoreOptions): Promise<QueueStore> {
  const address = parseStoreUrl(url);
  if (address.kind === 'redis') {
    const { openRedis } = await import('./redis/open-redis.ts');
    return await openRedis(address, options);
  }
  const { openPostgres } = await import('./postgres/open-postgres.ts');
  return await openPostgres(address, options);
}

/** Makes or updates the tables of the queues on PostgreSQL; Redis needs none. Fails as {@link openStore} does. */
export async function migrateStore(url: string): Promise<void> {
  const address = parseStoreUrl(url);
  if (address.kind === 'redis') return;
  const { migratePostgres } = await import('./postgres/open-postgres.ts');
  await migratePostgres(address);
}
