/** Opens a store on Redis or Valkey: connects, checks the server, and fails within the time limit with the reason. */
import { createRedisBackend } from 'bullmq';
import type { Redis } from 'ioredis';
import { messageOf, StackshimError } from '../../../core/errors.ts';
import { within } from '../../../core/pause.ts';
import { laneOptions } from '../lane-settings.ts';
import type { QueueStore, QueueStoreOptions } from '../queue-store.ts';
import { denied, unreachable } from '../store-errors.ts';
import type { RedisAddress } from '../store-url.ts';
import { readRedisFacts, refusalOf } from './check-redis.ts';
import { newRedisClient } from './redis-client.ts';
import { createRedisStore } from './redis-store.ts';

const OPEN_MS = 8000;

export async function openRedis(
  address: RedisAddress,
  options: QueueStoreOptions,
): Promise<QueueStore> {
  let isOpen = false;
  const client = newRedisClient(address, {
    name: 'stackshim',
    connectTimeoutMs: OPEN_MS,
    shouldRetry: () => isOpen,
  });
  const work = async () => {
    await connect(client, address);
    const refusal = refusalOf(await readRedisFacts(client, address.shown), address.shown);
    if (refusal !== undefined) throw refusal;
    const root = createRedisBackend('root', laneOptions(client, options));
    // Without a listener an error of the connection would end the process.
    root.on('error', () => undefined);
    await root.waitUntilReady();
    return root;
  };
  try {
    const root = await within(work(), OPEN_MS);
    if (root === undefined) {
      throw unreachable(address.shown, `no answer within ${OPEN_MS / 1000} s`);
    }
    isOpen = true;
    return createRedisStore({ address, client, root });
  } catch (error) {
    client.disconnect();
    throw error instanceof StackshimError ? error : reasonFor(address.shown, error);
  }
}

/** The error of `connect` says only that the connection is closed; the client's error event says why. */
async function connect(client: Redis, { shown }: RedisAddress): Promise<void> {
  let reason: unknown;
  client.on('error', (error: Error) => {
    reason ??= error;
  });
  try {
    await client.connect();
  } catch (error) {
    throw reasonFor(shown, reason ?? error);
  }
}

function reasonFor(shown: string, error: unknown): StackshimError {
  const message = messageOf(error).replace(/^Ready check failed: /, '');
  return /^(?:NOAUTH|WRONGPASS|NOPERM|ERR AUTH|ERR invalid password)/.test(message)
    ? denied(shown, message)
    : unreachable(shown, message || 'the connection failed');
}
