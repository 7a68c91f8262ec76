/** Messages of a Redis store: one connection for all listeners of a process, subscribed again after each reconnection. */
import type { Redis } from 'ioredis';
import { createListeners, type MessageLine } from '../listeners.ts';
import { endNow } from './redis-client.ts';
import { BELL_CHANNEL, CANCEL_CHANNEL } from './redis-scripts.ts';

/** Creates the line. `client` must not be connected yet. */
export function createRedisListener(client: Redis, whenClosed: () => Error): MessageLine {
  const all = createListeners();
  let subscribed: Promise<void> | undefined;
  const begin = () =>
    new Promise<void>((resolve, reject) => {
      let isFirst = true;
      const subscribe = async () => {
        try {
          await client.subscribe(BELL_CHANNEL, CANCEL_CHANNEL);
        } catch {
          // The connection ended before it was subscribed. Another connection follows.
          return;
        }
        if (!isFirst) all.announceGap();
        isFirst = false;
        resolve();
      };
      client.on('ready', () => void subscribe());
      client.on('end', () => reject(whenClosed()));
      client.connect().catch(() => undefined);
    });
  client.on('error', () => undefined);
  client.on('message', (channel: string, text: string) => {
    if (channel === BELL_CHANNEL) all.ringBell(text);
    else all.cancel(text);
  });
  return {
    async add(queues, listeners) {
      subscribed ??= begin();
      await subscribed;
      return all.add(queues, listeners);
    },
    ping: async () => {
      if (client.status === 'ready') await client.ping();
    },
    reconnect() {
      if (client.status === 'ready') client.disconnect(true);
    },
    close() {
      all.clear();
      endNow(client);
    },
  };
}
