/** The health endpoint of a worker: HTTP on a Unix socket for root, or on a TCP address. docs/worker.md describes the answers. */
import { once } from 'node:events';
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { errnoCodeOf, messageOf, StackshimError, unlessMissing } from '../../core/errors.ts';
import { ensureDirectorySync } from '../../sys/files.ts';
import { requireTrustedPath } from '../../sys/trusted-path.ts';
import type { WorkerStatus } from '../worker-events.ts';
import type { HealthAddress } from './health-address.ts';

const MAX_CONNECTIONS = 32;
const MAX_HEADER_BYTES = 4096;
const REQUEST_MS = 5_000;

/**
 * Answers until it is closed; does not keep the process alive. Creates a missing folder of the socket, and replaces a socket that a dead worker
 * left. Rejects with ERR_STACKSHIM_PATH_UNTRUSTED for a socket in another user's folder, ERR_STACKSHIM_SYSTEM if the address is in use.
 *
 * @param status Undefined while the worker starts.
 */
export async function serveHealth(address: HealthAddress, status: () => WorkerStatus | undefined) {
  const server = createServer(
    { maxHeaderSize: MAX_HEADER_BYTES, keepAlive: false },
    (request, response) => {
      request.resume();
      const [code, body] = answerTo(request, status);
      response.writeHead(code, {
        'content-type': 'application/json',
        'cache-control': 'no-store',
        connection: 'close',
        ...(code === 405 ? { allow: 'GET, HEAD' } : {}),
      });
      response.end(`${JSON.stringify(body)}\n`);
    },
  );
  server.requestTimeout = REQUEST_MS;
  server.headersTimeout = REQUEST_MS;
  server.timeout = REQUEST_MS;
  server.maxConnections = MAX_CONNECTIONS;
  try {
    if (address.kind === 'unix') await makeWay(address);
    server.listen({ ...address, exclusive: true });
    await once(server, 'listening');
  } catch (error) {
    throw error instanceof StackshimError ? error : failedToOpen(address, messageOf(error), error);
  }
  // Safe by path: only root can write to the folder, so nobody else can have replaced the socket.
  if (address.kind === 'unix') chmodSync(address.path, 0o600);
  server.unref();
  return {
    /** The address in the form that {@link parseHealthAddress} reads, with the actual port for port 0. */
    shown: shownAddress(server, address),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answerTo(
  { method, url = '' }: IncomingMessage,
  status: () => WorkerStatus | undefined,
): readonly [code: number, body: object] {
  if (method !== 'GET' && method !== 'HEAD') return [405, { error: 'method not allowed' }];
  const [path] = url.split('?');
  if (path === '/healthz') return [200, { status: 'alive' }];
  if (path === '/readyz') {
    const missing = whatIsMissing(status());
    return missing.length === 0
      ? [200, { status: 'ready' }]
      : [503, { status: 'not ready', missing }];
  }
  if (path !== '/status') return [404, { error: 'not found' }];
  const body = status();
  return body === undefined ? [503, { status: 'starting' }] : [200, body];
}

/** Why the worker is not ready. */
function whatIsMissing(status: WorkerStatus | undefined): readonly string[] {
  if (status === undefined) return ['start'];
  const { isTaking, isStoreReachable, isGuardAlive } = status;
  return [
    ...(isTaking ? [] : ['taking']),
    ...(isStoreReachable ? [] : ['store']),
    ...(isGuardAlive ? [] : ['guard']),
  ];
}

/**
 * Prepares the socket's path. The folder is often missing, because /run is empty after each boot. The socket of a dead owner is removed: nobody
 * answers there, and nobody can listen there while the file exists.
 */
async function makeWay(address: Extract<HealthAddress, { kind: 'unix' }>): Promise<void> {
  const { path } = address;
  ensureDirectorySync(
    requireTrustedPath(dirname(path), 'the socket of the health endpoint'),
    0o700,
  );
  const stats = unlessMissing(() => lstatSync(path));
  if (stats === undefined) return;
  if (!stats.isSocket()) throw failedToOpen(address, 'a file that is not a socket is in the way');
  if (await isAnswered(path)) throw failedToOpen(address, 'another process listens there');
  unlessMissing(() => unlinkSync(path));
}

const isAnswered = (path: string) =>
  new Promise<boolean>((resolve) => {
    const connection = connect(path);
    const end = (isAlive: boolean) => {
      connection.destroy();
      resolve(isAlive);
    };
    connection.once('connect', () => end(true));
    connection.once('error', (error) => end(errnoCodeOf(error) !== 'ECONNREFUSED'));
  });

const failedToOpen = (address: HealthAddress, why: string, cause?: unknown) =>
  new StackshimError('ERR_STACKSHIM_SYSTEM', `open health endpoint ${toText(address)}: ${why}`, {
    hint: 'give another address: each worker of a machine needs one of its own',
    cause,
  });

function shownAddress(server: Server, address: HealthAddress): string {
  const bound = server.address();
  if (address.kind === 'unix' || typeof bound !== 'object' || bound === null)
    return toText(address);
  return toText({ ...address, port: bound.port });
}

function toText(address: HealthAddress): string {
  if (address.kind === 'unix') return address.path;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}
