/** Opens a store on Redis or Valkey: connects, checks the server, and fails within the time limit with the reason. */
import { createRedisBackend, type QueueOptions, type WorkerOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import { messageOf, StackshimError } from '../../../core/errors.ts';
import { within } from '../../../core/pause.ts';
import type { QueueStore, QueueStoreOptions } from '../queue-store.ts';
import { denied, unreachable } from '../store-errors.ts';
import type { RedisAddress } from '../store-url.ts';
import { readRedisFacts, refusalOf } from './check-redis.ts';
import { newRedisClient } from './redis-client.ts';
import { PREFIX } from './redis-scripts.ts';
import { createRedisStore } from './redis-store.ts';

const OPEN_MS = 8000;

/** BullMQ ends jobs that stalled more often than this; how often a job may start is decided by whoever runs it. */
const NEVER = 2 ** 31 - 1;

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
  try {
    await inTime(address, connect(client, address));
    const facts = await inTime(address, readRedisFacts(client, address.shown));
    const refusal = refusalOf(facts, address.shown);
    if (refusal !== undefined) throw refusal;
    const root = createRedisBackend('root', backendOptions(client, options));
    // Without a listener an error of the connection would end the process.
    root.on('error', () => undefined);
    await inTime(address, root.waitUntilReady());
    isOpen = true;
    return createRedisStore({ address, client, root });
  } catch (error) {
    client.disconnect();
    throw error instanceof StackshimError ? error : reasonFor(address.shown, error);
  }
}

/** The options of a queue and of a worker: a lane's backend serves both. */
const backendOptions = (client: Redis, { lockMs, stalledLookMs }: QueueStoreOptions) =>
  ({
    connection: client,
    prefix: PREFIX,
    lockDuration: lockMs,
    stalledInterval: stalledLookMs,
    maxStalledCount: NEVER,
  }) satisfies QueueOptions & WorkerOptions;

async function inTime<T>(address: RedisAddress, work: Promise<T>): Promise<T> {
  const done = await within(
    work.then((value) => ({ value })),
    OPEN_MS,
  );
  if (done === undefined) throw unreachable(address.shown, `no answer within ${OPEN_MS / 1000} s`);
  return done.value;
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
