/** Opens a store on Redis or Valkey: connects, checks the server, and fails within the time limit with the reason. */
import { createRedisBackend } from 'bullmq';
import type { Redis } from 'ioredis';
import { laneOptions } from '../lane-settings.ts';
import type { QueueStore, QueueStoreOptions } from '../queue-store.ts';
import { measureSkew, refusalOfSkew } from '../skew.ts';
import type { RedisAddress } from '../store-url.ts';
import { readRedisFacts, refusalOf } from './check-redis.ts';
import { openConnection, readTimeMs } from './connect-redis.ts';
import { createRedisStore } from './redis-store.ts';

export async function openRedis(
  address: RedisAddress,
  options: QueueStoreOptions,
): Promise<QueueStore> {
  const { client, result, keep } = await openConnection(address, async (connected) => {
    const refusal = await findRefusal(connected, address.shown);
    if (refusal !== undefined) throw refusal;
    const root = createRedisBackend('root', laneOptions(connected, options));
    // Without a listener an error of the connection would end the process.
    root.on('error', () => undefined);
    await root.waitUntilReady();
    return root;
  });
  keep();
  return createRedisStore({ address, client, root: result });
}

async function findRefusal(client: Redis, shown: string): Promise<Error | undefined> {
  const refusal = refusalOf(await readRedisFacts(client, shown), shown);
  return refusal ?? refusalOfSkew(await measureSkew(() => readTimeMs(client)), shown);
}
