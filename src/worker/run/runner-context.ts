/** The context that all runs of a worker share. */
import type { Door } from '../../door/open-stackshim.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { Supply } from '../supply/fetch-missing.ts';
import type { WorkerEvent } from '../worker-events.ts';
import type { WorkerSettings } from '../worker-options.ts';
import type { WorkerGuard } from './worker-guard.ts';

type OtherSettings = 'store' | 'queues' | 'concurrency' | 'drainMs' | 'registry';

export interface RunnerContext extends Omit<WorkerSettings, OtherSettings> {
  readonly door: Pick<Door, 'run' | 'policy'>;
  /** Finds or fetches what jobs need. */
  readonly supply: Supply;
  readonly store: Pick<QueueStore, 'ring'>;
  readonly guard: Pick<WorkerGuard, 'ready' | 'permit'>;
  /** The worker's name, `host/pid`. */
  readonly worker: string;
  readonly emit: (event: WorkerEvent) => void;
  /** Reports a failure that changes nothing for the job. */
  readonly warn: (error: unknown, operation: string) => void;
  /** Aborts when the worker no longer waits for its store. */
  readonly giveUp: AbortSignal;
}
