/** The stores on which suites of the queue worker run: name, and how to start a server. */
import { startPostgres } from '../stores/start-postgres.ts';
import { startRedis } from '../stores/start-redis.ts';
import type { StoreServer } from '../stores/store-server.ts';

export const STORE_KINDS: readonly [kind: string, start: () => Promise<StoreServer>][] = [
  ['redis', () => startRedis()],
  ['postgres', () => startPostgres()],
];
