/** Messages of a Redis store: one connection for all listeners of a process, subscribed again after each reconnection. */
import type { Redis } from 'ioredis';
import { type JobPlace, parseJobName, parseLaneName } from '../../job/lane.ts';
import type { StoreListeners, Subscription } from '../queue-store.ts';
import { BELL_CHANNEL, CANCEL_CHANNEL } from './redis-scripts.ts';

export interface RedisListener {
  /** Resolves once messages arrive. */
  add(queues: readonly string[], listeners: StoreListeners): Promise<Subscription>;
  /** Resolves at once while there is no connection. */
  ping(): Promise<void>;
  /** Makes a new connection; a gap is announced when it is subscribed. */
  reconnect(): void;
  close(): void;
}

/** No name is longer. */
const MAX_MESSAGE_CHARS = 500;

interface Entry {
  readonly queues: ReadonlySet<string>;
  readonly listeners: StoreListeners;
}

/** Expects a client that is not connected. */
export function createRedisListener(client: Redis, whenClosed: () => Error): RedisListener {
  const entries = new Set<Entry>();
  let subscribed: Promise<void> | undefined;
  const begin = () =>
    new Promise<void>((resolve, reject) => {
      let isFirst = true;
      const subscribe = async () => {
        try {
          await client.subscribe(BELL_CHANNEL, CANCEL_CHANNEL);
        } catch {
          // The connection ended before it was subscribed: another one follows.
          return;
        }
        if (!isFirst) announceGap(entries);
        isFirst = false;
        resolve();
      };
      client.on('ready', () => void subscribe());
      client.on('end', () => reject(whenClosed()));
      client.connect().catch(() => undefined);
    });
  client.on('error', () => undefined);
  client.on('message', (channel: string, text: string) => deliver(entries, channel, text));
  return {
    async add(queues, listeners) {
      subscribed ??= begin();
      await subscribed;
      const entry: Entry = { queues: new Set(queues), listeners };
      entries.add(entry);
      return {
        close() {
          entries.delete(entry);
          return Promise.resolve();
        },
      };
    },
    ping: async () => {
      if (client.status === 'ready') await client.ping();
    },
    reconnect() {
      if (client.status === 'ready') client.disconnect(true);
    },
    close() {
      entries.clear();
      client.disconnect();
    },
  };
}

function announceGap(entries: ReadonlySet<Entry>): void {
  for (const { listeners } of entries) listeners.onGap();
}

/** Ignores what is not the name of a lane or job: anyone who may write to the store can publish. */
function deliver(entries: ReadonlySet<Entry>, channel: string, text: string): void {
  if (text.length > MAX_MESSAGE_CHARS) return;
  if (channel === BELL_CHANNEL) {
    const lane = parseLaneName(text);
    if (lane === undefined) return;
    for (const { queues, listeners } of entries) {
      if (queues.has(lane.queue)) listeners.onBell(lane);
    }
    return;
  }
  const place = placeOf(text);
  if (place === undefined) return;
  for (const { queues, listeners } of entries) {
    if (queues.has(place.lane.queue)) listeners.onCancel(place.lane, place.id);
  }
}

function placeOf(text: string): JobPlace | undefined {
  try {
    return parseJobName(text);
  } catch {
    return undefined;
  }
}
