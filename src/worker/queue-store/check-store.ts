/** The checks of `stackshim doctor` on the store of the queues. */
import { StackshimError } from '../../core/errors.ts';
import type { Inspection, StoreLoss } from './queue-store.ts';
import { describeSkew, MOST_SKEW_MS } from './skew.ts';
import { type PostgresAddress, parseStoreUrl, type RedisAddress } from './store-url.ts';

export interface StoreCheck {
  /** The subject: `store`, `store durability` or `store clock`. */
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly message: string;
  /** What to do about the finding; absent if the check passed. */
  readonly hint?: string;
}

/** An unsuitable or absent server fails its check and never rejects. Throws ERR_STACKSHIM_STORE_INVALID for an unreadable URL. */
export async function checkStore(url: string): Promise<readonly StoreCheck[]> {
  const address = parseStoreUrl(url);
  try {
    return findingsOf(await inspect(address), address.shown);
  } catch (error) {
    if (!(error instanceof StackshimError)) throw error;
    const { message, hint } = error;
    return [{ name: 'store', status: 'fail', message, hint }];
  }
}

export const describeLoss = ({ reason }: StoreLoss): string =>
  `does not keep what it acknowledges: ${reason}`;

async function inspect(address: RedisAddress | PostgresAddress): Promise<Inspection> {
  if (address.kind === 'redis') {
    const { inspectRedis } = await import('./redis/check-redis.ts');
    return await inspectRedis(address);
  }
  const { inspectPostgres } = await import('./postgres/check-postgres.ts');
  return await inspectPostgres(address);
}

function findingsOf({ product, loss, skewMs }: Inspection, shown: string): readonly StoreCheck[] {
  return [
    { name: 'store', status: 'ok', message: `${product} at ${shown}` },
    loss === undefined
      ? { name: 'store durability', status: 'ok', message: 'keeps what it acknowledges' }
      : { name: 'store durability', status: 'warn', message: describeLoss(loss), hint: loss.hint },
    Math.abs(skewMs) <= MOST_SKEW_MS
      ? { name: 'store clock', status: 'ok', message: "agrees with this machine's" }
      : {
          name: 'store clock',
          status: 'fail',
          message: describeSkew(skewMs),
          hint: 'synchronise both clocks (NTP): workers refuse to start',
        },
  ];
}
