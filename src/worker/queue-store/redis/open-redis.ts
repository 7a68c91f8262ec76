/** Opens a store on Redis or Valkey: connects, checks the server, and fails within the time limit with the reason. */
import { createRedisBackend } from 'bullmq';
import { laneOptions } from '../lane-settings.ts';
import type { QueueStore, QueueStoreOptions } from '../queue-store.ts';
import { requireSameTime } from '../skew.ts';
import type { RedisAddress } from '../store-url.ts';
import { readSuitable } from './check-redis.ts';
import { openConnection, readTimeMs } from './connect-redis.ts';
import { guardScripts } from './guard-scripts.ts';
import { createRedisStore } from './redis-store.ts';

export async function openRedis(
  address: RedisAddress,
  options: QueueStoreOptions,
): Promise<QueueStore> {
  const { client, result, keep } = await openConnection(address, async (connected) => {
    const { loss } = await readSuitable(connected, address.shown);
    await requireSameTime(() => readTimeMs(connected), address.shown);
    guardScripts(connected);
    const root = createRedisBackend('root', laneOptions(connected, options));
    // Without a listener, a connection error would end the process.
    root.on('error', () => undefined);
    await root.waitUntilReady();
    return { root, loss };
  });
  keep();
  return createRedisStore({ address, client, ...result });
}
