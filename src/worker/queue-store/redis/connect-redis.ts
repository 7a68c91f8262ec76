/** The first connection to a Redis or Valkey server. All work has a time limit; failures have the reason. */
import type { Redis } from 'ioredis';
import { messageOf, StackshimError } from '../../../core/errors.ts';
import { within } from '../../../core/pause.ts';
import { denied, unreachable } from '../store-errors.ts';
import type { RedisAddress } from '../store-url.ts';
import { newRedisClient } from './redis-client.ts';

const OPEN_MS = 8000;

/** Connects and calls `act`. The caller closes the connection, unless this rejects. */
export async function openConnection<T>(address: RedisAddress, act: (client: Redis) => Promise<T>) {
  let isKept = false;
  const client = newRedisClient(address, {
    name: 'stackshim',
    connectTimeoutMs: OPEN_MS,
    isChecked: false,
    shouldRetry: () => isKept,
  });
  // A command's error may say only that the connection is closed; the first error event has the reason.
  let reason: unknown;
  client.on('error', (error: Error) => {
    reason ??= error;
  });
  const work = async () => {
    await client.connect();
    return { result: await act(client) };
  };
  try {
    const done = await within(work(), OPEN_MS);
    if (done === undefined) {
      throw unreachable(address.shown, `no answer within ${OPEN_MS / 1000} s`);
    }
    return {
      client,
      result: done.result,
      /** From now on, a lost connection is made again. */
      keep() {
        isKept = true;
        client.options.enableReadyCheck = true;
      },
    };
  } catch (error) {
    client.disconnect();
    throw error instanceof StackshimError ? error : reasonFor(address.shown, reason ?? error);
  }
}

export async function readTimeMs(client: Redis): Promise<number> {
  const [seconds, micros] = await client.time();
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
}

const DENIED = /^(?:NOAUTH|WRONGPASS|NOPERM|ERR AUTH|ERR invalid password|ERR Client sent AUTH)/;

function reasonFor(shown: string, error: unknown): StackshimError {
  const message = messageOf(error);
  if (DENIED.test(message)) return denied(shown, message);
  const isOtherServer = message.startsWith('Protocol error');
  const hint = isOtherServer ? 'name the port of a Redis or Valkey server' : undefined;
  return unreachable(shown, message || 'the connection failed', hint);
}
