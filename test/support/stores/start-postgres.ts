/** A private PostgreSQL cluster on a free loopback port, with its data in a temporary folder, as the user `postgres`: it refuses root. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { waitUntil } from '../timing/wait-until.ts';
import { freezeProcesses, signalAll } from './freeze-processes.ts';
import { findFreePort, type TlsFiles } from './start-redis.ts';
import type { StoreServer } from './store-server.ts';

export interface PostgresOptions {
  /** Of the superuser `postgres`. Absent: everyone on this machine is let in. */
  readonly password?: string;
  /** Encrypts: files of a certificate for 127.0.0.1 and its key. */
  readonly tls?: TlsFiles;
  /** Settings: `synchronous_commit=off`. */
  readonly settings?: readonly string[];
}

/** Its URL is that of the superuser and the database `postgres`. */
export interface PostgresServer extends StoreServer {
  readonly folder: string;
  query(sql: string): Promise<readonly unknown[]>;
}

export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const folder = await mkdtemp('/var/tmp/stackshim-postgres-');
  const user = await findUser();
  chownSync(folder, user.uid, user.gid);
  const port = await findFreePort();
  await initialize(folder, user, options);
  if (options.tls !== undefined) await copyTlsFiles(folder, user, options.tls);
  let child = await launch({ folder, port, user }, options);
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const end = async (signal: NodeJS.Signals) => {
    if (hasEnded()) return;
    const ended = once(child, 'exit');
    const all = family(child.pid ?? 0);
    signalAll(all, 'SIGCONT');
    child.kill(signal);
    await ended;
    // Without their parent the others end by themselves, but not at once.
    await waitUntil(() => all.every((pid) => !isAlive(pid)));
  };
  const secret = options.password === undefined ? '' : `:${encodeURIComponent(options.password)}`;
  const url = `postgres://postgres${secret}@127.0.0.1:${port}/postgres`;
  return {
    port,
    url,
    folder,
    pid: () => child.pid ?? 0,
    query: (sql) => send(url, sql),
    stop: () => end('SIGINT'),
    kill: () => end('SIGKILL'),
    freeze: () => freezeProcesses(() => family(child.pid ?? 0)),
    thaw: () => signalAll(family(child.pid ?? 0), 'SIGCONT'),
    async start() {
      if (hasEnded()) child = await launch({ folder, port, user }, options);
    },
    async remove() {
      await end('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface User {
  readonly uid: number;
  readonly gid: number;
}

async function findUser(): Promise<User> {
  const { stdout } = await promisify(execFile)('getent', ['passwd', 'postgres']);
  const [, , uid, gid] = stdout.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

/** The newest version that is installed, since Debian has one folder for each; or the version that the variable names, to test it. */
function binFolder(): string {
  const given = process.env['STACKSHIM_TEST_POSTGRES_BIN'];
  if (given !== undefined) return given;
  const root = '/usr/lib/postgresql';
  const [newest] = readdirSync(root)
    .map(Number)
    .sort((one, other) => other - one);
  return `${root}/${newest}/bin`;
}

async function initialize(
  folder: string,
  { uid, gid }: User,
  { password }: PostgresOptions,
): Promise<void> {
  const passwordFile = `${folder}/password`;
  await writeFile(passwordFile, password ?? 'none');
  chownSync(passwordFile, uid, gid);
  const child = spawn(
    `${binFolder()}/initdb`,
    [
      ...['-D', `${folder}/data`, '--username=postgres', `--pwfile=${passwordFile}`, '--no-sync'],
      ...['--locale=C.UTF-8', '--encoding=UTF8'],
      `--auth=${password === undefined ? 'trust' : 'scram-sha-256'}`,
    ],
    { uid, gid, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const said = collect(child);
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`initdb failed: ${said()}`);
}

/** The server wants the key for itself. */
async function copyTlsFiles(folder: string, { uid, gid }: User, tls: TlsFiles): Promise<void> {
  for (const name of ['cert', 'key'] as const) {
    const copy = `${folder}/${name}.pem`;
    await copyFile(tls[name], copy);
    await chmod(copy, 0o600);
    chownSync(copy, uid, gid);
  }
}

interface Place {
  readonly folder: string;
  readonly port: number;
  readonly user: User;
}

async function launch({ folder, port, user }: Place, options: PostgresOptions) {
  const settings = [
    ...['listen_addresses=127.0.0.1', `port=${port}`, `unix_socket_directories=${folder}`],
    ...['fsync=off', 'lc_messages=C', 'shared_buffers=16MB', 'max_connections=100'],
    ...(options.tls === undefined ? [] : ['ssl=on', `ssl_cert_file=${folder}/cert.pem`]),
    ...(options.tls === undefined ? [] : [`ssl_key_file=${folder}/key.pem`]),
    ...(options.settings ?? []),
  ];
  const child = spawn(
    `${binFolder()}/postgres`,
    ['-D', `${folder}/data`, ...settings.flatMap((setting) => ['-c', setting])],
    { uid: user.uid, gid: user.gid, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const said = collect(child);
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`postgres did not start: ${said()}`)));
    child.stderr?.on('data', () => {
      if (said().includes('ready to accept connections')) resolve();
    });
  });
  return child;
}

/** What the program has said on standard error; the rest is read and dropped. */
function collect(child: ChildProcess): () => string {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    if (said.length < 100_000) said += chunk.toString('utf8');
  });
  return () => said;
}

/** The process and its children. */
function family(pid: number): readonly number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return [pid, ...children.split(' ').filter(Boolean).map(Number)];
  } catch {
    return [];
  }
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function send(url: string, sql: string): Promise<readonly unknown[]> {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
