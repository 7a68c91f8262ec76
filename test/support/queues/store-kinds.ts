/** The stores on which suites of the queue worker run: name, and how to start a server. */
import { migrateStore } from '../../../src/worker/queue-store/open-store.ts';
import { startPostgres } from '../stores/start-postgres.ts';
import { startRedis } from '../stores/start-redis.ts';

export interface StoreServer {
  readonly url: string;
  /** Ends the server and removes its data. */
  remove(): Promise<void>;
}

export const STORE_KINDS: readonly [kind: string, start: () => Promise<StoreServer>][] = [
  ['redis', () => startRedis()],
  [
    'postgres',
    async () => {
      const server = await startPostgres();
      await migrateStore(server.url);
      return server;
    },
  ],
];
