/** Registries on loopback: Debian's docker-registry with its own configuration, and a server with the answers of a test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface LoopbackRegistry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  close(): Promise<void>;
}

/** Starts docker-registry over plain HTTP on a free port, with its storage below `folder`. `htpasswd` enables passwords. */
export async function startRegistry(folder: string, htpasswd?: string): Promise<LoopbackRegistry> {
  mkdirSync(`${folder}/storage`, { recursive: true });
  const auth =
    htpasswd === undefined
      ? {}
      : { auth: { htpasswd: { realm: 'test', path: `${folder}/htpasswd` } } };
  if (htpasswd !== undefined) writeFileSync(`${folder}/htpasswd`, htpasswd);
  const config = {
    version: 0.1,
    log: { level: 'info', formatter: 'json' },
    storage: { filesystem: { rootdirectory: `${folder}/storage` } },
    http: { addr: '127.0.0.1:0', secret: 'of a test' },
    ...auth,
  };
  // JSON is valid YAML.
  writeFileSync(`${folder}/config.yml`, JSON.stringify(config));
  const child = spawn('docker-registry', ['serve', `${folder}/config.yml`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const host = await readAddress(child);
  return {
    host,
    async close() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function readAddress(child: ChildProcess): Promise<string> {
  let said = '';
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`docker-registry did not start: ${said}`)));
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
      const address = /listening on (127\.0\.0\.1:\d+)/.exec(said)?.[1];
      if (address !== undefined) resolve(address);
    });
  });
}

/** A server of the registry protocol; the test gives every answer. */
export async function startLiar(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<LoopbackRegistry> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${port}`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
