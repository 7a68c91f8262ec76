/** Looks at a Redis or Valkey server for `doctor`. */
import type { Inspection } from '../queue-store.ts';
import { measureSkew } from '../skew.ts';
import type { RedisAddress } from '../store-url.ts';
import { lossOf, readSuitable } from './check-redis.ts';
import { readTimeMs, withRedis } from './connect-redis.ts';

/** Fails as the opening of the store does. */
export const inspectRedis = (address: RedisAddress): Promise<Inspection> =>
  withRedis(address, async (client) => {
    const facts = await readSuitable(client, address.shown);
    return {
      product: `${facts.product} ${facts.version}`,
      loss: lossOf(facts),
      skewMs: await measureSkew(() => readTimeMs(client)),
    };
  });
