/** The connection over which a store's messages come. */
import type { QueueStore, StoreListeners, Subscription } from './queue-store.ts';
import type { Reachability } from './reachability.ts';

export interface MessageLine {
  /** Resolves once messages arrive; the first call connects. */
  add(queues: readonly string[], listeners: StoreListeners): Promise<Subscription>;
  /** Resolves at once while there is no connection. */
  ping(): Promise<void>;
  /** Makes a new connection; a gap is announced when it listens. */
  reconnect(): void;
  close(): void;
}

/** A store's `listen`: messages, and whether the store answers. */
export const listenOn =
  (line: MessageLine, reachability: Reachability): QueueStore['listen'] =>
  async (queues, listeners) => {
    const subscription = await line.add(queues, listeners);
    const stopWatching = reachability.watch(listeners);
    return {
      close() {
        stopWatching();
        return subscription.close();
      },
    };
  };
