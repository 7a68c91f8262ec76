/** The options of a worker: checked, with defaults. */
import type { LayoutOptions } from '../core/layout.ts';
import { invalidField } from '../spec/field-errors.ts';
import type { TaskInput } from '../spec/task-input.ts';
import type { QueueShare } from './intake/intake-options.ts';
import { parseQueueName } from './job/lane.ts';
import { parseRegistryPrefix, type WorkerRegistry } from './supply/registry-places.ts';
import type { WorkerEvent } from './worker-events.ts';

/** A job that is about to run. */
export interface RunningJob {
  /** The job's name: `queue~tenant~code~id`. */
  readonly job: string;
  readonly tenant: string | undefined;
}

/** Fields that the operator's program may set on a job's task. The job or the worker sets the others: a job's room depends on its limits. */
export type FieldsOfWorker = Omit<
  TaskInput,
  'id' | 'tenant' | 'stack' | 'code' | 'outputs' | 'scheduleId' | 'memory' | 'disk' | 'cpus'
>;

export interface WorkerOptions extends LayoutOptions {
  /** The store of the queues: `redis://…`, `rediss://…`, `valkey://…`, `valkeys://…` or `postgres://…`. */
  readonly store: string;
  /** The queues to take jobs from. A queue of weight 4 gets four times as many places as a queue of weight 1. */
  readonly queues: readonly (string | QueueShare)[];
  /** The maximum of jobs at once. Default: the number of processors. */
  readonly concurrency?: number | undefined;
  /** How long a drain waits for running tasks. Default: 30 seconds. */
  readonly drainMs?: number | undefined;
  /** How long a job stays with this worker after the last renewal of its lock. Default: 30 seconds. */
  readonly lockMs?: number | undefined;
  /** How long the store keeps ended jobs. Default: 7 days. */
  readonly keepResultsMs?: number | undefined;
  /** Where the output of tasks is kept: with the job in the store (`job`, the default), or in files below this folder. */
  readonly logs?: string | undefined;
  /** The most bytes of output kept of a job. Default: 1 MiB. */
  readonly logBytes?: number | undefined;
  /** The folder for artefacts. Default: none; jobs with outputs are refused. */
  readonly artefacts?: string | undefined;
  /** How long a job waits for a worker that has its stack and code, on a machine that is large enough. Default: 10 minutes. */
  readonly missingMs?: number | undefined;
  /** The registry with stacks and code packages that a job needs and this machine lacks. Default: none; such jobs are left to other workers. */
  readonly registry?: WorkerRegistry | undefined;
  /**
   * Fields for a job's task that the job itself may not set, such as mounts or a network. They replace the job's fields; labels are added to the
   * job's. The policy applies to them. A function that throws fails the attempt.
   */
  readonly fields?: ((job: RunningJob) => FieldsOfWorker) | undefined;
  /** Called with each event. A listener that throws breaks nothing. */
  readonly onEvent?: ((event: WorkerEvent) => void) | undefined;
}

/** The options with every default filled in. */
export interface WorkerSettings
  extends Readonly<Record<'concurrency' | keyof typeof WORKER_DEFAULTS, number>> {
  readonly store: string;
  readonly queues: readonly QueueShare[];
  readonly logFolder: string | undefined;
  readonly artefactFolder: string | undefined;
  readonly registry: WorkerRegistry | undefined;
  readonly fields: (job: RunningJob) => FieldsOfWorker;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
export const WORKER_BOUNDS = {
  concurrency: { min: 1, max: 4_096 },
  drainMs: { min: 0, max: DAY_MS },
  lockMs: { min: 1_000, max: HOUR_MS },
  keepResultsMs: { min: 1_000, max: 3_650 * DAY_MS },
  missingMs: { min: 0, max: DAY_MS },
  logBytes: { min: 16_384, max: 1_073_741_824 },
  weight: { min: 1, max: 100 },
} as const;

/** The values of absent options. */
export const WORKER_DEFAULTS = {
  drainMs: 30_000,
  lockMs: 30_000,
  keepResultsMs: 7 * DAY_MS,
  missingMs: 600_000,
  logBytes: 1_048_576,
} as const;

/** @param cpus The machine's processors. Throws ERR_STACKSHIM_SPEC_INVALID with `details.field`. */
export function toWorkerSettings(options: WorkerOptions, cpus: number): WorkerSettings {
  const { logs = 'job', artefacts, registry } = options;
  const numbers = { concurrency: Math.max(1, Math.floor(cpus)), ...WORKER_DEFAULTS };
  const read = (field: keyof typeof numbers): number =>
    requireWithin(field, options[field] ?? numbers[field]);
  return {
    store: options.store,
    queues: parseQueues(options.queues),
    concurrency: read('concurrency'),
    drainMs: read('drainMs'),
    lockMs: read('lockMs'),
    keepResultsMs: read('keepResultsMs'),
    missingMs: read('missingMs'),
    logBytes: read('logBytes'),
    logFolder: logs === 'job' ? undefined : requireFolder('logs', logs),
    artefactFolder: artefacts === undefined ? undefined : requireFolder('artefacts', artefacts),
    registry: registry && { ...registry, prefix: parseRegistryPrefix(registry.prefix) },
    fields: options.fields ?? (() => ({})),
  };
}

function requireWithin(field: keyof typeof WORKER_BOUNDS, value: number): number {
  const { min, max } = WORKER_BOUNDS[field];
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw invalidField(field, `not a whole number from ${min} to ${max}`, value);
}

function requireFolder(field: string, path: string): string {
  if (path.startsWith('/') && !path.includes('\0')) return path;
  throw invalidField(field, 'not an absolute path', path);
}

function parseQueues(given: WorkerOptions['queues']): readonly QueueShare[] {
  const queues = given.map((queue) =>
    typeof queue === 'string' ? { name: queue, weight: 1 } : queue,
  );
  if (queues.length === 0) throw invalidField('queues', 'no queue is named');
  for (const { name, weight } of queues) {
    parseQueueName(name);
    requireWithin('weight', weight);
  }
  if (new Set(queues.map(({ name }) => name)).size < queues.length) {
    throw invalidField('queues', 'a queue is named twice');
  }
  return queues;
}
