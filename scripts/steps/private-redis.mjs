/** A Redis server of its own for the quick start of the worker: on loopback, with a password, keeping what it acknowledges. */
import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { startAndAwait } from './background.mjs';

/** Debian's package makes it. */
const USER = 'redis';
const READY_MS = 10_000;

/**
 * @param {string} folder of root's, which others may pass through; the server's files lie in a folder below it
 * @returns {Promise<{url: string, end: () => Promise<void>, ended: Promise<void>}>}
 */
export async function startPrivateRedis(folder) {
  const home = `${folder}/redis`;
  mkdirSync(home, { mode: 0o700 });
  const password = randomBytes(16).toString('hex');
  const port = await findFreePort();
  const settings = [
    'bind 127.0.0.1',
    `port ${port}`,
    `requirepass ${password}`,
    `dir ${home}`,
    // A job is acknowledged only when it is on the disk, and none is thrown away for want of memory.
    'appendonly yes',
    'appendfsync always',
    'maxmemory-policy noeviction',
    'save ""',
    'daemonize no',
  ];
  const file = `${home}/redis.conf`;
  writeFileSync(file, `${settings.join('\n')}\n`, { mode: 0o600 });
  const [uid, gid] = idsOf(USER);
  for (const path of [file, home]) chownSync(path, uid, gid);
  const server = await startAndAwait(['redis-server', file], {
    logFile: `${folder}/redis.log`,
    isReady: () => answersAt(port, password),
    limitMs: READY_MS,
    user: USER,
  });
  return { ...server, url: `redis://:${password}@127.0.0.1:${port}/0` };
}

/**
 * @param {string} user
 * @returns {readonly [uid: number, gid: number]}
 */
function idsOf(user) {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`${user}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return [Number(uid), Number(gid)];
}

/** @returns {Promise<number>} a port of 127.0.0.1 that nobody listens on */
function findFreePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/**
 * @param {number} port
 * @param {string} password
 * @returns {Promise<boolean>}
 */
function answersAt(port, password) {
  return new Promise((resolve) => {
    const connection = connect(port, '127.0.0.1');
    connection.setEncoding('utf8');
    connection.once('connect', () => connection.write(`AUTH ${password}\r\n`));
    connection.once('data', (text) => {
      resolve(String(text).startsWith('+OK'));
      connection.destroy();
    });
    connection.once('error', () => resolve(false));
  });
}
