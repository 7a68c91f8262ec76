/** Opens a store on PostgreSQL: connects, checks the server and its tables, and fails within the time limit with the reason. */
import type { QueueStore, QueueStoreOptions } from '../queue-store.ts';
import { requireSameTime } from '../skew.ts';
import type { PostgresAddress } from '../store-url.ts';
import { checkTables, readSuitable } from './check-postgres.ts';
import { withClient } from './connect-postgres.ts';
import { migrate } from './migrate-postgres.ts';
import { createPostgresStore } from './postgres-store.ts';
import { readTimeMs } from './statements.ts';

export async function openPostgres(
  address: PostgresAddress,
  options: QueueStoreOptions,
): Promise<QueueStore> {
  const loss = await withClient(address, async (client) => {
    const facts = await readSuitable(client, address.shown);
    await checkTables(client, address.shown);
    await requireSameTime(() => readTimeMs((text) => client.query(text)), address.shown);
    return facts.loss;
  });
  return createPostgresStore(address, options, loss);
}

/** Creates or updates the queue tables. Fails like {@link openPostgres}. */
export async function migratePostgres(address: PostgresAddress): Promise<void> {
  await withClient(address, async (client) => {
    await readSuitable(client, address.shown);
    await migrate(client);
  });
}
