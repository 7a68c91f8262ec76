/** A store for the tests of a file, with a queue of its own for each test, and intakes that end with it. */
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import type { Intake } from '../../../src/worker/intake/intake-options.ts';
import { openStore } from '../../../src/worker/queue-store/open-store.ts';
import type { QueueStore, QueueStoreOptions } from '../../../src/worker/queue-store/queue-store.ts';
import { endIntake, startTestIntake, type TestIntakeOptions } from './start-test-intake.ts';
import type { StoreServer } from './store-kinds.ts';

export interface IntakeBed {
  readonly server: StoreServer;
  readonly store: QueueStore;
  /** The name of the test's queue. */
  readonly queue: string;
  /** What the test's intakes have reported. */
  readonly errors: readonly unknown[];
  /** Starts an intake of the test's queue. */
  start(given: Partial<TestIntakeOptions> & Pick<TestIntakeOptions, 'handle'>): Promise<Intake>;
}

/** Registers the hooks of a describe. */
export function useIntakeBed(
  startServer: () => Promise<StoreServer>,
  options: QueueStoreOptions,
): IntakeBed {
  let server: StoreServer | undefined;
  let store: QueueStore | undefined;
  let queues = 0;
  let intakes: Intake[] = [];
  let errors: unknown[] = [];
  beforeAll(async () => {
    server = await startServer();
    store = await openStore(server.url, options);
  });
  afterAll(async () => {
    await store?.close();
    await server?.remove();
  });
  beforeEach(() => {
    queues += 1;
    errors = [];
  });
  afterEach(async () => {
    for (const intake of intakes) await endIntake(intake);
    intakes = [];
  });
  const begun = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('the tests have not begun');
    return value;
  };
  return {
    get server() {
      return begun(server);
    },
    get store() {
      return begun(store);
    },
    get queue() {
      return `q${queues}`;
    },
    get errors() {
      return errors;
    },
    async start(given) {
      const intake = await startTestIntake({
        ...{ store: begun(store), ...options },
        queues: [{ name: `q${queues}`, weight: 1 }],
        onError: (error) => errors.push(error),
        ...given,
      });
      intakes.push(intake);
      return intake;
    },
  };
}
