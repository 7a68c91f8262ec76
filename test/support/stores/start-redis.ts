/** A private redis-server on a free loopback port, with its data in a temporary folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { Redis } from 'ioredis';
import { freezeProcesses } from './freeze-processes.ts';
import type { StoreServer } from './store-server.ts';

/** `valkey-server` takes the same arguments: set the variable to test that store. */
const PROGRAM = process.env['STACKSHIM_TEST_REDIS_SERVER'] ?? 'redis-server';

export interface RedisOptions {
  readonly password?: string;
  /** Keeps a log of all changes, written to disk at this pace. Absent: nothing survives a restart. */
  readonly log?: 'always' | 'everysec' | 'no';
  /** The port of the primary that this server copies; `start` resolves when it has. The primary's password must be this one's. */
  readonly replicaOf?: number;
  /** Encrypts: files of a certificate for 127.0.0.1 and its key. */
  readonly tls?: TlsFiles;
  /** Further arguments of redis-server. */
  readonly args?: readonly string[];
}

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export interface RedisServer extends StoreServer {
  /** Sends one command over a connection of its own. */
  command(name: string, ...args: readonly (string | number)[]): Promise<unknown>;
}

export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const folder = await mkdtemp('/var/tmp/stackshim-redis-');
  const port = await findFreePort();
  let child = await launch(folder, port, options);
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const end = async (signal: NodeJS.Signals) => {
    if (hasEnded()) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    // A frozen server would not end.
    child.kill('SIGCONT');
    await ended;
  };
  const auth = options.password === undefined ? '' : `:${encodeURIComponent(options.password)}@`;
  return {
    port,
    url: `${options.tls === undefined ? 'redis' : 'rediss'}://${auth}127.0.0.1:${port}`,
    pid: () => child.pid ?? 0,
    command: (name, ...args) => send({ port, password: options.password }, name, args),
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    freeze: () => freezeProcesses(() => [child.pid ?? 0]),
    thaw: () => void child.kill('SIGCONT'),
    async start() {
      if (hasEnded()) child = await launch(folder, port, options);
    },
    async remove() {
      await end('SIGKILL');
      // A child that the server forked, for example for a replica, may still write its file.
      await rm(folder, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** A port that nothing listens on now. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function launch(folder: string, port: number, options: RedisOptions): Promise<ChildProcess> {
  const { password, log, replicaOf, tls, args = [] } = options;
  const words = [
    ...['--bind', '127.0.0.1', '--dir', folder, '--save', ''],
    ...(tls === undefined ? ['--port', port] : ['--port', 0, '--tls-port', port]),
    ...(tls === undefined ? [] : ['--tls-cert-file', tls.cert, '--tls-key-file', tls.key]),
    ...(tls === undefined ? [] : ['--tls-auth-clients', 'no']),
    ...['--appendonly', log === undefined ? 'no' : 'yes', '--appendfsync', log ?? 'no'],
    ...['--repl-diskless-sync-delay', 0],
    ...(password === undefined ? [] : ['--requirepass', password, '--masterauth', password]),
    ...(replicaOf === undefined ? [] : ['--replicaof', '127.0.0.1', replicaOf]),
    ...args,
  ];
  // A test that is killed leaves no server behind.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', PROGRAM, ...words.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const isReady = replicaOf === undefined ? /Ready to accept/ : /sync: Finished with success/;
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`${PROGRAM} did not start: ${said}`)));
    child.stdout?.on('data', (chunk: Buffer) => {
      if (said.length < 100_000) said += chunk.toString('utf8');
      if (isReady.test(said)) resolve();
    });
  });
  return child;
}

interface Target {
  readonly port: number;
  readonly password: string | undefined;
}

async function send(
  { port, password }: Target,
  name: string,
  args: readonly (string | number)[],
): Promise<unknown> {
  const client = new Redis({
    port,
    host: '127.0.0.1',
    lazyConnect: true,
    retryStrategy: () => null,
    ...(password === undefined ? {} : { password }),
  });
  client.on('error', () => undefined);
  try {
    return await client.call(name, ...args);
  } finally {
    client.disconnect();
  }
}
