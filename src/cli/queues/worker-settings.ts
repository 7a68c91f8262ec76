/** Parses the command line of `stackshim worker`. */
import { resolve } from 'node:path';
import { invalidField, invalidInput } from '../../spec/field-errors.ts';
import { parseCount, parseDuration } from '../../spec/quantities.ts';
import type { QueueShare } from '../../worker/intake/intake-options.ts';
import { parseQueueName } from '../../worker/job/lane.ts';
import { parseHealthAddress } from '../../worker/ops/health-address.ts';
import { LOG_LEVELS, type LogLevel } from '../../worker/ops/log-levels.ts';
import { parseRegistryPrefix } from '../../worker/supply/registry-places.ts';
import {
  WORKER_BOUNDS as BOUNDS,
  WORKER_DEFAULTS as DEFAULTS,
} from '../../worker/worker-options.ts';
import type { WorkerLineOptions } from '../define/define-worker.ts';
import { toRegistryOptions } from '../define/shared-options.ts';
import { readStoreAddress } from './store-address.ts';

const DAY_HOURS = 24;
const MAX_QUEUES = 1000;
/** A shorter lock would be lost in a pause of the store; a longer one keeps jobs of a dead worker waiting. */
const LOCK = { ...BOUNDS.lockMs, min: 5_000 };

/**
 * Parses the settings. `store` has the password; `warnings` say what the operator should change on the command line. Throws
 * ERR_STACKSHIM_SPEC_INVALID with `details.field`, and the errors of `readStoreAddress` and `parseHealthAddress`.
 */
export function toWorkerSettings(
  queues: readonly string[],
  options: WorkerLineOptions,
  env: Readonly<Record<string, string | undefined>>,
) {
  const { concurrency, drain, lock, logs = 'job', artefacts, health } = options;
  const { missing, keepResults } = options;
  const { url, warning } = readStoreAddress(options, env);
  return {
    queues: parseQueues(queues),
    store: url,
    concurrency:
      concurrency === undefined
        ? undefined
        : parseCount(concurrency, 'concurrency', BOUNDS.concurrency),
    drainMs: parseDuration(drain ?? DEFAULTS.drainMs, 'drain', BOUNDS.drainMs),
    lockMs: parseDuration(lock ?? DEFAULTS.lockMs, 'lock', LOCK),
    logs: logs === 'job' ? logs : toFolder(logs, 'logs'),
    artefacts: artefacts === undefined ? undefined : toFolder(artefacts, 'artefacts'),
    registry: toRegistry(options),
    missingMs: parseDuration(missing ?? DEFAULTS.missingMs, 'missing', BOUNDS.missingMs),
    keepResultsMs: parseDuration(
      keepResults === undefined ? DEFAULTS.keepResultsMs : inHours(keepResults),
      'keepResults',
      BOUNDS.keepResultsMs,
    ),
    health:
      health === undefined
        ? undefined
        : parseHealthAddress(health, { isPublicAllowed: options.healthPublic === true }),
    logLevel: parseLevel(options.logLevel ?? 'info'),
    warnings: warning === undefined ? [] : [warning],
  };
}

function toRegistry({ registry, tlsVerify, authfile }: WorkerLineOptions) {
  if (registry === undefined) return undefined;
  const access = toRegistryOptions({ tlsVerify: tlsVerify ?? 'true', authfile });
  return { prefix: parseRegistryPrefix(registry), ...access };
}

function parseQueues(texts: readonly string[]): readonly QueueShare[] {
  const shares = texts.map(parseQueue);
  const problem = problemOf(shares.map(({ name }) => name));
  if (problem === undefined) return shares;
  const hint = 'name each queue to take jobs from once: stackshim worker mail=4 reports';
  throw invalidInput('queues', `start worker: ${problem}`, hint);
}

function problemOf(names: readonly string[]): string | undefined {
  if (names.length === 0) return 'no queue is named';
  if (names.length > MAX_QUEUES) return `more than ${MAX_QUEUES} queues`;
  return new Set(names).size < names.length ? 'a queue is named twice' : undefined;
}

function parseQueue(text: string): QueueShare {
  const [name = '', weight, ...rest] = text.split('=');
  if (rest.length > 0) throw invalidField('queues', 'not a name, or NAME=WEIGHT', text);
  return {
    name: parseQueueName(name),
    weight: weight === undefined ? 1 : parseCount(weight, 'queues', BOUNDS.weight),
  };
}

function toFolder(path: string, field: string): string {
  if (path === '' || path.includes('\0')) throw invalidField(field, 'not a path', path);
  return resolve(path);
}

/** Converts `7d` to hours: other durations have no days. */
function inHours(text: string): string {
  const days = /^(\d{1,5})d$/.exec(text)?.[1];
  return days === undefined ? text : `${Number(days) * DAY_HOURS}h`;
}

function parseLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((one) => one === text);
  if (level !== undefined) return level;
  throw invalidField('logLevel', `none of ${LOG_LEVELS.join(', ')}`, text);
}
