/** Looks at a Redis or Valkey server for `doctor`. */
import type { Inspection } from '../check-store.ts';
import { measureSkew } from '../skew.ts';
import type { RedisAddress } from '../store-url.ts';
import { type RedisFacts, readRedisFacts, refusalOf } from './check-redis.ts';
import { readTimeMs, withRedis } from './connect-redis.ts';

/** Fails as the opening of the store does. */
export const inspectRedis = (address: RedisAddress): Promise<Inspection> =>
  withRedis(address, async (client) => {
    const facts = await readRedisFacts(client, address.shown);
    const refusal = refusalOf(facts, address.shown);
    if (refusal !== undefined) throw refusal;
    return {
      product: `${facts.product} ${facts.version}`,
      loss: lossOf(facts),
      skewMs: await measureSkew(() => readTimeMs(client)),
    };
  });

function lossOf({ keepsLog, logSync }: RedisFacts): Inspection['loss'] {
  const hint = 'set appendonly yes and appendfsync always in the configuration of the server';
  if (!keepsLog) {
    return { reason: 'appendonly is off, a crash loses all jobs since the last snapshot', hint };
  }
  if (logSync === 'always') return undefined;
  if (logSync === undefined) {
    return {
      reason: 'the server does not tell its appendfsync, anything but "always" loses jobs',
      hint: 'check the configuration of the server; docs/stores.md says what a loss means',
    };
  }
  const lost = logSync === 'everysec' ? 'the last second' : 'what the disk has not got yet';
  return { reason: `appendfsync is ${logSync}, a power failure loses ${lost}`, hint };
}
