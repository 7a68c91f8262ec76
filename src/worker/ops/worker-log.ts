/** Writes the events of a worker as structured log lines. docs/worker.md describes the fields. */
import { type DestinationStream, pino } from 'pino';
import type { WorkerEvent } from '../worker-events.ts';
import type { LogLevel } from './log-levels.ts';

/** Opens the log: each line, with its line break, is one JSON object of `time`, `level`, `worker`, `event`, `msg` and the event's fields. */
export function openWorkerLog(level: LogLevel, worker: string, write: DestinationStream['write']) {
  const log = pino(
    {
      level,
      base: { worker },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  );
  const onEvent = (event: WorkerEvent): void => {
    // The message is in the line's sentence.
    const { type, message: _, ...fields } = { message: undefined, ...event };
    log[levelOf(event)]({ event: type, ...fields }, sentenceOf(event));
  };
  return {
    onEvent,
    /** Logs that the health endpoint is open. */
    listening: (address: string) =>
      log.info({ event: 'health', address }, `answers health requests on ${address}`),
    /** Logs a problem of the worker itself, such as a health endpoint that could not be opened. */
    warn: (message: string, code: string) => onEvent({ type: 'warning', code, message }),
  };
}

/** Levels of events other than `info`. */
const LEVELS: Readonly<Partial<Record<WorkerEvent['type'], LogLevel>>> = {
  job_taken: 'debug',
  warning: 'warn',
  job_handed_back: 'warn',
  store_unreachable: 'warn',
  guard_restarted: 'warn',
  lock_lost: 'error',
};

function levelOf(event: WorkerEvent): LogLevel {
  if (event.type === 'job_ended' && event.state === 'error') return 'warn';
  return LEVELS[event.type] ?? 'info';
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
      return `${event.job}: ${describeEnd(event)}`;
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

function describeEnd(event: Extract<WorkerEvent, { readonly type: 'job_ended' }>): string {
  const { state, reason, error, durationMs, willRetry } = event;
  const code = error === null ? '' : ` [${error}]`;
  const how = state === 'complete' ? state : `${reason}${code}`;
  return `${how} after ${Math.round(durationMs)} ms${willRetry ? ', will be retried' : ''}`;
}
