/** Tells the service manager the state of the worker: sd_notify(3), sd_watchdog_enabled(3). Without a manager that listens, does nothing. */
import { sendDatagram } from '../../sys/send-datagram.ts';

export interface ServiceNotice {
  /** How often the manager expects `alive`; undefined: never. */
  readonly watchdogMs: number | undefined;
  /** @param status One line for `systemctl status`. */
  ready(status: string): void;
  stopping(status: string): void;
  status(status: string): void;
  alive(): void;
  /** Asks for more time for a stop, so that the unit need not know how long a drain takes. */
  needsTime(ms: number): void;
}

const US_PER_MS = 1_000;

/** @param env NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are read. */
export function openServiceNotice(
  env: Readonly<Record<string, string | undefined>>,
): ServiceNotice {
  const { NOTIFY_SOCKET: socket } = env;
  const send = (...lines: readonly string[]) => {
    if (!socket) return;
    try {
      sendDatagram(socket, lines.join('\n'));
    } catch {
      // The manager's queue is full, or nobody listens: a missed notice must not end the worker. The next one follows.
    }
  };
  return {
    watchdogMs: socket ? watchdogMs(env) : undefined,
    ready: (status) => send('READY=1', statusLine(status)),
    stopping: (status) => send('STOPPING=1', statusLine(status)),
    status: (status) => send(statusLine(status)),
    alive: () => send('WATCHDOG=1'),
    needsTime: (ms) => send(`EXTEND_TIMEOUT_USEC=${Math.round(ms * US_PER_MS)}`),
  };
}

const statusLine = (status: string) => `STATUS=${status.replaceAll('\n', ' ')}`;

/** Undefined if the manager has no watchdog, or if it watches another process. */
function watchdogMs({
  WATCHDOG_USEC: period = '',
  WATCHDOG_PID: watched,
}: Readonly<Record<string, string | undefined>>): number | undefined {
  if (watched !== undefined && watched !== String(process.pid)) return undefined;
  return /^[1-9]\d{0,15}$/.test(period) ? Number(period) / US_PER_MS : undefined;
}
