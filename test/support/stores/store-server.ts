/** A private server of a store, and a store on it for the tests of a describe. */
import { afterAll, beforeAll } from 'vitest';
import { migrateStore, openStore } from '../../../src/worker/queue-store/open-store.ts';
import type { QueueStore, QueueStoreOptions } from '../../../src/worker/queue-store/queue-store.ts';

export interface StoreServer {
  readonly port: number;
  readonly url: string;
  /** Of the process that runs, or ran last. */
  pid(): number;
  /** Ends the server as an operator does, and all its connections. */
  stop(): Promise<void>;
  kill(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): void;
  /** Starts the server again, on the same port and data, unless it runs. */
  start(): Promise<void>;
  /** Ends the server and removes its data. */
  remove(): Promise<void>;
}

/** The members are there while tests run. */
export interface StoreBed<S> {
  readonly server: S;
  readonly store: QueueStore;
}

/** Registers the hooks of a describe. */
export function useStore<S extends Pick<StoreServer, 'url' | 'remove'>>(
  startServer: () => Promise<S>,
  options: QueueStoreOptions,
): StoreBed<S> {
  const bed = {} as { server: S; store: QueueStore };
  beforeAll(async () => {
    bed.server = await startServer();
    await migrateStore(bed.server.url);
    bed.store = await openStore(bed.server.url, options);
  });
  afterAll(async () => {
    await bed.store?.close();
    await bed.server?.remove();
  });
  return bed;
}
