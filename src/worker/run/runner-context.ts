/** What all runs of a worker share. */
import type { Door } from '../../door/open-stackshim.ts';
import type { QueueStore } from '../queue-store/queue-store.ts';
import type { Supply } from '../supply/fetch-missing.ts';
import type { WorkerEvent } from '../worker-events.ts';
import type { WorkerSettings } from '../worker-options.ts';
import type { WorkerGuard } from './worker-guard.ts';

export interface RunnerContext {
  readonly door: Pick<Door, 'run' | 'policy'>;
  /** Finds or fetches what jobs need. */
  readonly supply: Supply;
  readonly store: Pick<QueueStore, 'ring'>;
  readonly guard: Pick<WorkerGuard, 'ready' | 'permit'>;
  readonly lockMs: number;
  /** How long the store keeps jobs that have ended. */
  readonly keepResultsMs: number;
  /** A folder for the logs of jobs; undefined: the store keeps them. */
  readonly logFolder: string | undefined;
  /** The most bytes of output that are kept of a job. */
  readonly logBytes: number;
  /** A folder for artefacts; undefined: jobs with outputs are refused. */
  readonly artefactFolder: string | undefined;
  /** How long a job waits for a worker that has its stack and its code. */
  readonly missingMs: number;
  /** Fields that the worker sets on the task of a job. */
  readonly fields: WorkerSettings['fields'];
  /** `host/pid`. */
  readonly worker: string;
  readonly emit: (event: WorkerEvent) => void;
  /** Reports a failure that changes nothing for the job. */
  readonly warn: (error: unknown, operation: string) => void;
  /** Aborts when the worker no longer waits for its store. */
  readonly giveUp: AbortSignal;
}
