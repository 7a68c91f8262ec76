/** Dispatches the store's messages to listeners. Ignores text that names no lane or job: anyone who can write to the store can send it. */
import { findJobPlace, parseLaneName } from '../job/lane.ts';
import type { QueueStore, StoreListeners } from './queue-store.ts';
import type { Reachability } from './reachability.ts';

/** The connection that receives a store's messages. */
export interface MessageLine {
  /** Resolves once messages arrive, to a function that removes the listeners. The first call connects. */
  add(queues: readonly string[], listeners: StoreListeners): Promise<() => void>;
  /** Resolves at once while there is no connection. */
  ping(): Promise<void>;
  /** Makes a new connection, and announces a gap once it listens. */
  reconnect(): void;
  close(): void;
}

/** Builds a store's `listen`: messages, and changes of reachability. */
export const listenOn =
  (line: MessageLine, reachability: Reachability): QueueStore['listen'] =>
  async (queues, listeners) => {
    const remove = await line.add(queues, listeners);
    const stopWatching = reachability.watch(listeners);
    return () => {
      stopWatching();
      remove();
    };
  };

/** No name of a lane or job is longer. */
const MAX_MESSAGE_CHARS = 500;

export function createListeners() {
  const entries = new Set<{
    readonly queues: ReadonlySet<string>;
    readonly listeners: StoreListeners;
  }>();
  const tell = (queue: string, call: (listeners: StoreListeners) => void) => {
    for (const { queues, listeners } of entries) if (queues.has(queue)) call(listeners);
  };
  return {
    add(queues: readonly string[], listeners: StoreListeners): () => void {
      const entry = { queues: new Set(queues), listeners };
      entries.add(entry);
      return () => void entries.delete(entry);
    },
    clear: () => entries.clear(),
    /** Tells the listeners of the queue that the lane named `text` may have a job to take. */
    ringBell(text: string) {
      const lane = text.length > MAX_MESSAGE_CHARS ? undefined : parseLaneName(text);
      if (lane !== undefined) tell(lane.queue, (listeners) => listeners.onBell(lane));
    },
    /** Tells the listeners of the queue that the job named `text` was cancelled. */
    cancel(text: string) {
      const place = text.length > MAX_MESSAGE_CHARS ? undefined : findJobPlace(text);
      if (place === undefined) return;
      tell(place.lane.queue, (listeners) => listeners.onCancel(place.lane, place.id));
    },
    announceGap() {
      for (const { listeners } of entries) listeners.onGap();
    },
  };
}
