/** Connections to Redis and Valkey: their options, and which errors mean that the server cannot answer now. */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { Redis } from 'ioredis';
import { reasonOf, StackshimError } from '../../../core/errors.ts';
import { withoutUndefined } from '../../../core/read-fields.ts';
import type { RedisAddress, TlsFiles } from '../store-url.ts';

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 1000;
/** When to probe an idle connection, so that a vanished peer is noticed. */
const KEEP_ALIVE_MS = 10_000;
const DISCONNECT_MS = 200;

export interface ClientRole {
  /** The name that CLIENT LIST shows. */
  readonly name: string;
  readonly connectTimeoutMs: number;
  /** Whether the user is known to have the right to run INFO: on each connection, the driver asks whether the server is loading its data. */
  readonly isChecked: boolean;
  /** Whether a lost connection is made again. */
  shouldRetry(): boolean;
}

/** Creates a client that does not connect yet. The caller must add an `error` listener: an error event without one ends the process. */
export function newRedisClient(address: RedisAddress, role: ClientRole): Redis {
  const { host, port, db, username, password, tls } = address;
  return new Redis({
    ...withoutUndefined({ host, port, db, username, password }),
    ...(tls === undefined ? {} : { tls: readTlsFiles(tls, host) }),
    lazyConnect: true,
    // How long the driver waits for the peer to close a connection. It keeps the process alive meanwhile.
    disconnectTimeout: DISCONNECT_MS,
    connectionName: role.name,
    connectTimeout: role.connectTimeoutMs,
    keepAlive: KEEP_ALIVE_MS,
    // A command waits for the server without limit, and is sent again if its reply was lost.
    maxRetriesPerRequest: null,
    autoResubscribe: false,
    enableReadyCheck: role.isChecked,
    retryStrategy: (times) =>
      role.shouldRetry()
        ? Math.min(FIRST_RETRY_MS * 2 ** Math.min(times - 1, 8), LAST_RETRY_MS)
        : null,
    // The primary became a replica: the address may lead to the new primary by now.
    reconnectOnError: (error) => (role.shouldRetry() && isReadOnly(error) ? 2 : false),
  });
}

/** Ends the connection. Commands without a reply fail. */
export function endNow(client: Redis): void {
  client.disconnect();
  // Between two connection attempts, `disconnect` ends nothing: waiting commands fail only when an attempt is broken off.
  if (client.status !== 'reconnecting') return;
  client.connect().catch(() => undefined);
  client.disconnect();
}

function readTlsFiles({ cacert, cert, key }: TlsFiles, host: string): ConnectionOptions {
  const isName = !/^[0-9.]+$|:/.test(host);
  return withoutUndefined({
    servername: isName ? host : undefined,
    ca: readPem(cacert),
    cert: readPem(cert),
    key: readPem(key),
  });
}

function readPem(path: string | undefined): Buffer | undefined {
  try {
    return path === undefined ? undefined : readFileSync(path);
  } catch (error) {
    const message = `read the URL of the store: ${path}: ${reasonOf(error)}`;
    const hint = 'name a readable file in PEM';
    throw new StackshimError('ERR_STACKSHIM_STORE_INVALID', message, { hint, cause: error });
  }
}

/** Older servers prefix the reason with a description of the script. */
const CODE = '(?:^|[ -])';
const READ_ONLY = new RegExp(`${CODE}READONLY `);
const FULL = new RegExp(`${CODE}OOM command not allowed`);

const isReadOnly = (error: Error) => READ_ONLY.test(error.message);

/** Replies of a server that cannot serve now, and the client's errors for calls left unanswered by a closed connection. */
const OUTAGE = new RegExp(
  `${CODE}(?:LOADING|MASTERDOWN|NOREPLICAS|MISCONF|BUSY|READONLY) |` +
    "^(?:NOAUTH|WRONGPASS|Ready check failed|Connection is closed|Command aborted|Stream isn't writeable)",
);

export const isRedisOutage = (error: unknown): boolean =>
  error instanceof Error && OUTAGE.test(error.message);

/** The server refuses commands that need memory. It can still end jobs. */
export const isRedisFull = (error: unknown): boolean =>
  error instanceof Error && FULL.test(error.message);
