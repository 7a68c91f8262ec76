/** A store for the tests of a file, with a queue of its own for each test, and intakes that end with it. */
import { afterEach, beforeEach } from 'vitest';
import type { Intake } from '../../../src/worker/intake/start-intake.ts';
import type { QueueStoreOptions } from '../../../src/worker/queue-store/queue-store.ts';
import { type StoreBed, type StoreServer, useStore } from '../stores/store-server.ts';
import { endIntake, startTestIntake, type TestIntakeOptions } from './start-test-intake.ts';

export interface IntakeBed extends StoreBed<StoreServer> {
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
  const bed = useStore(startServer, options);
  let queues = 0;
  let intakes: Intake[] = [];
  let errors: unknown[] = [];
  beforeEach(() => {
    queues += 1;
    errors = [];
  });
  afterEach(async () => {
    for (const intake of intakes) await endIntake(intake);
    intakes = [];
  });
  return {
    get server() {
      return bed.server;
    },
    get store() {
      return bed.store;
    },
    get queue() {
      return `q${queues}`;
    },
    get errors() {
      return errors;
    },
    async start(given) {
      const intake = await startTestIntake({
        ...{ store: bed.store, ...options },
        queues: [{ name: `q${queues}`, weight: 1 }],
        onError: (error) => errors.push(error),
        ...given,
      });
      intakes.push(intake);
      return intake;
    },
  };
}
