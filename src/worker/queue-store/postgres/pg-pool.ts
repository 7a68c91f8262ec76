/** Connections to PostgreSQL: their options, and which errors mean that the server cannot answer now. */
import { Client, Pool, type PoolClient, type QueryResult, type QueryResultRow } from 'pg';
import { reasonOf, StackshimError } from '../../../core/errors.ts';
import { within } from '../../../core/pause.ts';
import type { PostgresAddress } from '../store-url.ts';

const CONNECT_MS = 8000;
const IDLE_MS = 60_000;
const END_MS = 1000;
const KEEP_ALIVE_MS = 10_000;
/** A row that somebody keeps locked must not keep a connection of the pool, or a dozen of them would end all other work. */
const LOCK_WAIT_MS = 1000;

/** The schema of BullMQ's tables and functions. */
export const QUEUE_SCHEMA = 'bullmq';

export type Query = <R extends QueryResultRow>(
  text: string,
  values?: readonly unknown[],
) => Promise<QueryResult<R>>;

/** Connects when it is used. */
export function openPool(address: PostgresAddress) {
  const options = optionsOf(address, [`lock_timeout=${LOCK_WAIT_MS}`]);
  const pool = build(() => new Pool({ ...options, idleTimeoutMillis: IDLE_MS }));
  const clients = new Set<PoolClient>();
  // An idle connection that the server ends: the next call makes a new one.
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
    /** What `act` does is done whole, or not at all. */
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
    /** Ends the connections, in order for a second, then at once. */
    async end() {
      await within(pool.end(), END_MS);
      cutAll();
    },
  };
}

/** Does not connect yet. An error event without a listener would end the process: the caller adds one. */
export const newClient = (address: PostgresAddress): Client =>
  build(() => new Client(optionsOf(address)));

/** Ends the connection at once: a server that does not answer would not let it be closed in order. */
export const cut = ({ connection }: Client | PoolClient): void => {
  connection.stream.destroy();
};

/** The driver reads the files of certificates that the URL names. */
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
  // Without it the driver gives sslmode a meaning of its own, and prints a warning.
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
 * SQLSTATE classes and codes: connection failures, shutdown and start, the server's resources; a standby after a failover; a conflict of two
 * transactions, which were rolled back; a password that was changed on one side first.
 */
const OUTAGE_STATES = /^(?:08...|57P0[1-5]|53...|58...|25006|40001|40P01|55P03|28P01|28000)$/;
const OUTAGE_ERRNOS: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH'],
  ...['ENETUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT'],
]);
/** The driver has no codes for these. */
const OUTAGE_MESSAGE =
  /^(?:too many notifications in the NOTIFY queue|Connection terminated|timeout exceeded when trying to connect|timeout expired|Client has encountered a connection error|Client was closed|Connection ended|Cannot use a pool after calling end)/;

export function isPostgresOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // Several addresses of one host, none of which could be connected to.
  if (error instanceof AggregateError) return error.errors.every(isPostgresOutage);
  const code = codeOf(error);
  if (code !== undefined && (OUTAGE_STATES.test(code) || OUTAGE_ERRNOS.has(code))) return true;
  return OUTAGE_MESSAGE.test(error.message);
}

/** Two transactions want the same rows, or one keeps them for long. The server itself answers. */
export const isContention = (error: unknown): boolean =>
  error instanceof Error && /^(?:40001|40P01|55P03)$/.test(codeOf(error) ?? '');

/** The connection leads to a server that only reads: the next one may lead to the new primary. */
export const isReadOnly = (error: unknown): boolean =>
  error instanceof Error && codeOf(error) === '25006';

/** The SQLSTATE or error number. */
export function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
