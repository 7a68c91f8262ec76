/** Runs a worker as a service: with a log, a health endpoint, notices to the service manager, and a final drain. */
import type { QueueWorker } from '../create-worker.ts';
import { ownName, type WorkerEvent, type WorkerStatus } from '../worker-events.ts';
import type { HealthAddress } from './health-address.ts';
import type { LogLevel } from './log-levels.ts';
import { serveHealth } from './serve-health.ts';
import { openServiceNotice, type ServiceNotice } from './service-notice.ts';
import { watchPulse } from './watch-pulse.ts';
import { openWorkerLog } from './worker-log.ts';

export interface ServiceOptions {
  readonly lockMs: number;
  readonly logLevel: LogLevel;
  /** Gets each line of the log. */
  readonly writeLog: (line: string) => void;
  /** Default: no endpoint. */
  readonly health?: HealthAddress | undefined;
  /** The environment, with the service manager's variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Problems known before the start, to be logged. */
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
  start(onEvent: (event: WorkerEvent) => void): Promise<QueueWorker>;
}

export interface Service {
  /** Drains the worker; resolves when it has ended. Call it once. */
  stop(): Promise<void>;
  /** Shortens the stop. */
  hasten(): void;
}

const STATUS_EVERY_MS = 10_000;
/** Each notice extends the manager's stop timeout by this time; several are sent within it. */
const STOP_NOTICE_MS = 30_000;
const STOP_NOTICE_EVERY_MS = 5_000;

/** Resolves once the worker takes jobs. Rejects as `start` does, and if the health endpoint cannot be opened. */
export async function startService(options: ServiceOptions): Promise<Service> {
  const log = openWorkerLog(options.logLevel, ownName(), options.writeLog);
  const notice = openServiceNotice(options.env);
  for (const { code, message } of options.warnings) log.warn(message, code);
  let served: QueueWorker | undefined;
  const health = options.health && (await serveHealth(options.health, () => served?.status()));
  if (health !== undefined) log.listening(health.shown);
  let started: QueueWorker;
  try {
    started = await options.start(log.onEvent);
  } catch (error) {
    await health?.close();
    throw error;
  }
  served = started;
  const stopNotices = keepNotices(started, notice, options.lockMs);
  notice.ready(describe(started.status()));
  return {
    hasten: () => started.hasten(),
    async stop() {
      notice.stopping('draining');
      notice.needsTime(STOP_NOTICE_MS);
      const timer = setInterval(() => notice.needsTime(STOP_NOTICE_MS), STOP_NOTICE_EVERY_MS);
      try {
        await started.drain();
      } finally {
        clearInterval(timer);
        stopNotices();
        await health?.close();
      }
    },
  };
}

/** Sends status and watchdog notices periodically. Returns a function that ends them. */
function keepNotices(worker: QueueWorker, notice: ServiceNotice, lockMs: number): () => void {
  const isWell = watchPulse(lockMs, Date.now);
  const status = setInterval(() => notice.status(describe(worker.status())), STATUS_EVERY_MS);
  const { watchdogMs } = notice;
  const watchdog =
    watchdogMs === undefined
      ? undefined
      : setInterval(() => {
          if (isWell(worker.status())) notice.alive();
        }, watchdogMs / 4);
  return () => {
    clearInterval(status);
    clearInterval(watchdog);
  };
}

const describe = ({ running, lanes, isTaking, isStoreReachable }: WorkerStatus): string =>
  [
    `${running} jobs running, ${lanes} lanes`,
    ...(isTaking ? [] : ['takes no jobs']),
    ...(isStoreReachable ? [] : ['the store does not answer']),
  ].join(', ');
