/** Writes the events of a worker as structured log lines. docs/worker.md describes the fields. */
import { type DestinationStream, type Logger, pino } from 'pino';
import type { WorkerEvent } from '../worker-events.ts';
import type { LogLevel } from './log-levels.ts';

export interface WorkerLogOptions {
  readonly level: LogLevel;
  /** Gets each line, with its line break. */
  readonly write: DestinationStream['write'];
  /** `host/pid`: in every line. */
  readonly worker: string;
}

export interface WorkerLog {
  onEvent(event: WorkerEvent): void;
  /** A problem of the worker itself, such as a health endpoint that could not be opened. */
  warn(message: string, code: string): void;
  /** The health endpoint is open. */
  listening(address: string): void;
}

/** Each line is one JSON object: `time`, `level`, `worker`, `event`, `msg`, and the fields of the event. */
export function openWorkerLog({ level, write, worker }: WorkerLogOptions): WorkerLog {
  const log = pino(
    {
      level,
      base: { worker },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  );
  return {
    onEvent: (event) => writeEvent(log, event),
    listening: (address) =>
      log.info({ event: 'health', address }, `answers health requests on ${address}`),
    warn: (message, code) => writeEvent(log, { type: 'warning', code, message }),
  };
}

function writeEvent(log: Logger, event: WorkerEvent): void {
  const { type, ...fields } = event;
  log[levelOf(event)]({ event: type, ...withoutMessage(fields) }, sentenceOf(event));
}

/** The sentence has the message. */
function withoutMessage(fields: object): object {
  if (!('message' in fields)) return fields;
  const { message: _, ...others } = fields;
  return others;
}

function levelOf(event: WorkerEvent): LogLevel {
  switch (event.type) {
    case 'job_taken':
      return 'debug';
    case 'job_ended':
      return event.state === 'error' ? 'warn' : 'info';
    case 'warning':
    case 'job_handed_back':
    case 'store_unreachable':
    case 'guard_restarted':
      return 'warn';
    case 'lock_lost':
      return 'error';
    default:
      return 'info';
  }
}

function sentenceOf(event: WorkerEvent): string {
  switch (event.type) {
    case 'started':
      return `takes jobs of ${event.queues.join(', ')} from ${event.store}`;
    case 'warning':
      return event.message;
    case 'draining':
      return `takes no more jobs; ${event.running} still run`;
    case 'drained':
      return `ended; jobs handed back: ${event.handedBack}`;
    case 'job_taken':
      return `took ${event.job}`;
    case 'job_ended':
      return sentenceOfEnd(event);
    case 'job_handed_back':
      return `${event.job}: handed back: ${event.reason}`;
    case 'lock_lost':
      return `${event.job}: lost its lock; its task is ended`;
    case 'store_unreachable':
      return 'the store does not answer';
    case 'store_reachable':
      return `the store answers again after ${event.downMs} ms`;
    case 'guard_restarted':
      return 'the guard had ended, and was started again';
  }
}

type JobEnded = Extract<WorkerEvent, { readonly type: 'job_ended' }>;

function sentenceOfEnd({ job, state, reason, error, durationMs, willRetry }: JobEnded): string {
  const code = error === null ? '' : ` [${error}]`;
  const how = state === 'complete' ? state : `${reason}${code}`;
  return `${job}: ${how} after ${Math.round(durationMs)} ms${willRetry ? ', will be retried' : ''}`;
}
