/** Connections to PostgreSQL: their options, and which errors mean that the server cannot answer now. */
import { Client, Pool, type PoolClient, type QueryResult, type QueryResultRow } from 'pg';
import { reasonOf, StackshimError } from '../../../core/errors.ts';
import { within } from '../../../core/pause.ts';
import type { PostgresAddress } from '../store-url.ts';

const CONNECT_MS = 8000;
const IDLE_MS = 60_000;
const END_MS = 1000;
const KEEP_ALIVE_MS = 10_000;
/** A row that somebody keeps locked must not hold a pool connection for long: a dozen such rows would block all other work. */
const LOCK_WAIT_MS = 1000;

/** The schema of BullMQ's tables and functions. */
export const QUEUE_SCHEMA = 'bullmq';

export type Query = <R extends QueryResultRow>(
  text: string,
  values?: readonly unknown[],
) => Promise<QueryResult<R>>;

/** Opens a pool, which connects when it is first used. */
export function openPool(address: PostgresAddress) {
  const options = optionsOf(address, [`lock_timeout=${LOCK_WAIT_MS}`]);
  const pool = build(() => new Pool({ ...options, idleTimeoutMillis: IDLE_MS }));
  const clients = new Set<PoolClient>();
  // The server ended an idle connection; the next call makes a new one.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => clients.add(client));
  pool.on('remove', (client) => clients.delete(client));
  /** Ends all connections without waiting for answers. */
  const cutAll = () => {
    for (const client of clients) cut(client);
  };
  const query: Query = (text, values = []) => pool.query(text, [...values]);
  return {
    query,
    cutAll,
    /** Runs `act` in one transaction. */
    async transaction<T>(act: (query: Query) => Promise<T>): Promise<T> {
      const client = await pool.connect();
      try {
        await client.query('BEGIN');
        const done = await act((text, values = []) => client.query(text, [...values]));
        await client.query('COMMIT');
        client.release();
        return done;
      } catch (error) {
        // The server rolls back when the connection ends.
        client.release(true);
        throw error;
      }
    },
    /** Ends the connections: gracefully for one second, then at once. */
    async end() {
      await within(pool.end(), END_MS);
      cutAll();
    },
  };
}

/** Creates a client that does not connect yet. The caller must add an `error` listener: an error event without one ends the process. */
export const newClient = (address: PostgresAddress): Client =>
  build(() => new Client(optionsOf(address)));

/** Ends the connection at once. A server that does not answer would block a graceful end. */
export const cut = ({ connection }: Client | PoolClient): void => {
  connection.stream.destroy();
};

/** Converts the driver's errors: the driver reads the certificate files that the URL names. */
function build<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    const message = `read the URL of the store: ${reasonOf(error)}`;
    throw new StackshimError('ERR_STACKSHIM_STORE_INVALID', message, {
      cause: new Error(reasonOf(error)),
    });
  }
}

function optionsOf({ url }: PostgresAddress, settings: readonly string[] = []) {
  const given = new URL(url);
  const options = given.searchParams.get('options') ?? '';
  const own = [`search_path=${QUEUE_SCHEMA}`, ...settings].map((setting) => `-c ${setting}`);
  given.searchParams.set('options', [options, ...own].join(' ').trim());
  // Without this parameter, the driver interprets sslmode in its own way and prints a warning.
  if (given.searchParams.has('sslmode')) given.searchParams.set('uselibpqcompat', 'true');
  return {
    connectionString: given.href,
    fallback_application_name: 'stackshim',
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
  };
}

/**
 * SQLSTATE classes and codes: connection failures; shutdown and start; the server's resources; a standby after a failover; a conflict of two
 * transactions, which were rolled back; a password that was changed on one side first.
 */
const OUTAGE_STATES = /^(?:08...|57P0[1-5]|53...|58...|25006|40001|40P01|55P03|28P01|28000)$/;
const OUTAGE_ERRNOS: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH'],
  ...['ENETUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT'],
]);
/** The driver has no codes for these errors. */
const OUTAGE_MESSAGE =
  /^(?:too many notifications in the NOTIFY queue|Connection terminated|timeout exceeded when trying to connect|timeout expired|Client has encountered a connection error|Client was closed|Connection ended|Cannot use a pool after calling end)/;

export function isPostgresOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // Several addresses of one host, none of which accepted a connection.
  if (error instanceof AggregateError) return error.errors.every(isPostgresOutage);
  const code = codeOf(error);
  if (code !== undefined && (OUTAGE_STATES.test(code) || OUTAGE_ERRNOS.has(code))) return true;
  return OUTAGE_MESSAGE.test(error.message);
}

/** Two transactions want the same rows, or one keeps them locked for long. The server itself answers. */
export const isContention = (error: unknown): boolean =>
  error instanceof Error && /^(?:40001|40P01|55P03)$/.test(codeOf(error) ?? '');

/** The server of this connection is read-only. The next connection may lead to the new primary. */
export const isReadOnly = (error: unknown): boolean =>
  error instanceof Error && codeOf(error) === '25006';

/** The SQLSTATE or errno code of an error. */
export function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
