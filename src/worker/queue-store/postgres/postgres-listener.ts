/** Messages of a PostgreSQL store: one connection for all listeners of a process, replaced whenever it is lost. */
import type { Client } from 'pg';
import { pause } from '../../../core/pause.ts';
import { createListeners, type MessageLine } from '../listeners.ts';
import type { PostgresAddress } from '../store-url.ts';
import { cut, newClient } from './pg-pool.ts';

/** BullMQ's own channel: sends the lane's name for each job that begins to wait. */
const JOBS_CHANNEL = 'bullmq_jobs';
export const BELL_CHANNEL = 'stackshim_bell';
export const CANCEL_CHANNEL = 'stackshim_cancel';
const LISTEN = [JOBS_CHANNEL, BELL_CHANNEL, CANCEL_CHANNEL]
  .map((channel) => `LISTEN ${channel}`)
  .join('; ');

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 1000;

export function createPostgresListener(
  address: PostgresAddress,
  whenClosed: () => Error,
): MessageLine {
  const all = createListeners();
  let client: Client | undefined;
  /** The client while it hears messages and has no query of its own pending, so that it can be pinged. */
  let listener: Client | undefined;
  let pinging: Promise<void> | undefined;
  let isClosed = false;
  let listening: Promise<void> | undefined;
  let tellFirst: (error?: Error) => void = () => undefined;
  const listenOnce = async (isFirst: boolean): Promise<void> => {
    const made = newClient(address);
    const ended = new Promise<void>((resolve) => {
      made.on('error', () => resolve());
      made.on('end', () => resolve());
    });
    client = made;
    try {
      await made.connect();
      made.on('notification', ({ channel, payload = '' }) => {
        if (channel === CANCEL_CHANNEL) all.cancel(payload);
        else all.ringBell(payload);
      });
      await made.query(LISTEN);
      listener = made;
      if (isFirst) tellFirst();
      else all.announceGap();
      await ended;
    } finally {
      listener = undefined;
      cut(made);
    }
  };
  const pingOnce = async (): Promise<void> => {
    try {
      await listener?.query('SELECT 1');
    } finally {
      pinging = undefined;
    }
  };
  const listenOnAndOn = async (): Promise<void> => {
    let isFirst = true;
    let retryMs = FIRST_RETRY_MS;
    while (!isClosed) {
      try {
        await listenOnce(isFirst);
        [isFirst, retryMs] = [false, FIRST_RETRY_MS];
      } catch {
        // The server is away. Callers of other operations learn why.
        retryMs = Math.min(2 * retryMs, LAST_RETRY_MS);
      }
      if (!isClosed) await pause(retryMs);
    }
    tellFirst(whenClosed());
  };
  const begin = () =>
    new Promise<void>((resolve, reject) => {
      tellFirst = (error) => (error === undefined ? resolve() : reject(error));
      void listenOnAndOn();
    });
  return {
    async add(queues, listeners) {
      listening ??= begin();
      await listening;
      return all.add(queues, listeners);
    },
    ping() {
      // One pending ping at a time: the driver warns of a second query on one connection.
      pinging ??= pingOnce();
      return pinging;
    },
    reconnect() {
      if (client !== undefined) cut(client);
    },
    close() {
      isClosed = true;
      all.clear();
      if (client !== undefined) cut(client);
    },
  };
}
