/** Runs on the executable's engine: starts a private store, prints its URL, and removes it when standard input ends. Argument: `redis` or `postgres`. */
import { text } from 'node:stream/consumers';
import { migrateStore } from '../src/worker/queue-store/open-store.ts';
import { startPostgres } from '../test/support/stores/start-postgres.ts';
import { startRedis } from '../test/support/stores/start-redis.ts';

const isRedis = process.argv[2] === 'redis';
const server = isRedis ? await startRedis({ log: 'always' }) : await startPostgres();
if (!isRedis) await migrateStore(server.url);
process.stdout.write(`${server.url}\n`);
await text(process.stdin);
await server.remove();
