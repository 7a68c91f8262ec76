/** Tells the service manager the worker's state: sd_notify(3), sd_watchdog_enabled(3). Does nothing without a manager. */
import { sendDatagram } from '../../sys/send-datagram.ts';

export type ServiceNotice = ReturnType<typeof openServiceNotice>;

type Environment = Readonly<Record<string, string | undefined>>;

const US_PER_MS = 1_000;

/** Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID from `env`. A status is one line for `systemctl status`. */
export function openServiceNotice(env: Environment) {
  const { NOTIFY_SOCKET: socket } = env;
  const send = (...lines: readonly string[]) => {
    if (!socket) return;
    try {
      sendDatagram(socket, lines.join('\n'));
    } catch {
      // The manager's queue is full, or nobody listens. A lost notice must not end the worker; the next one follows.
    }
  };
  return {
    /** The watchdog timeout: the manager expects `alive` at least this often. Undefined without a watchdog. */
    watchdogMs: socket ? watchdogMs(env) : undefined,
    ready: (status: string) => send('READY=1', statusLine(status)),
    stopping: (status: string) => send('STOPPING=1', statusLine(status)),
    status: (status: string) => send(statusLine(status)),
    alive: () => send('WATCHDOG=1'),
    /** Asks for more time for a stop, so that the unit need not know how long a drain takes. */
    needsTime: (ms: number) => send(`EXTEND_TIMEOUT_USEC=${Math.round(ms * US_PER_MS)}`),
  };
}

const statusLine = (status: string) => `STATUS=${status.replaceAll('\n', ' ')}`;

/** Undefined if the manager has no watchdog, or watches another process. */
function watchdogMs(env: Environment): number | undefined {
  const { WATCHDOG_USEC: period = '', WATCHDOG_PID: watched } = env;
  if (watched !== undefined && watched !== String(process.pid)) return undefined;
  return /^[1-9]\d{0,15}$/.test(period) ? Number(period) / US_PER_MS : undefined;
}
