/** Hands messages of the store to those who listen. Anyone who may write to the store can send one: what is not the name of a lane or job is ignored. */
import { findJobPlace, parseLaneName } from '../job/lane.ts';
import type { StoreListeners, Subscription } from './queue-store.ts';

export interface Listeners {
  add(queues: readonly string[], listeners: StoreListeners): Subscription;
  clear(): void;
  /** @param text The name of a lane that may have a job to take. */
  ringBell(text: string): void;
  /** @param text The name of a job. */
  cancel(text: string): void;
  announceGap(): void;
}

interface Entry {
  readonly queues: ReadonlySet<string>;
  readonly listeners: StoreListeners;
}

/** No name is longer. */
const MAX_MESSAGE_CHARS = 500;

export function createListeners(): Listeners {
  const entries = new Set<Entry>();
  const tell = (queue: string, call: (listeners: StoreListeners) => void) => {
    for (const { queues, listeners } of entries) if (queues.has(queue)) call(listeners);
  };
  return {
    add(queues, listeners) {
      const entry: Entry = { queues: new Set(queues), listeners };
      entries.add(entry);
      return {
        close() {
          entries.delete(entry);
          return Promise.resolve();
        },
      };
    },
    clear: () => entries.clear(),
    ringBell(text) {
      const lane = text.length > MAX_MESSAGE_CHARS ? undefined : parseLaneName(text);
      if (lane !== undefined) tell(lane.queue, (listeners) => listeners.onBell(lane));
    },
    cancel(text) {
      const place = text.length > MAX_MESSAGE_CHARS ? undefined : findJobPlace(text);
      if (place === undefined) return;
      tell(place.lane.queue, (listeners) => listeners.onCancel(place.lane, place.id));
    },
    announceGap() {
      for (const { listeners } of entries) listeners.onGap();
    },
  };
}
