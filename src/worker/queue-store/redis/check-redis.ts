/** Asks a Redis or Valkey server for its settings: whether it can be the store, and how it may lose acknowledged writes. */
import type { Redis } from 'ioredis';
import { messageOf } from '../../../core/errors.ts';
import { pause } from '../../../core/pause.ts';
import type { Inspection, StoreLoss } from '../queue-store.ts';
import { measureSkew } from '../skew.ts';
import { denied, unsuitable } from '../store-errors.ts';
import type { RedisAddress } from '../store-url.ts';
import { openConnection, readTimeMs } from './connect-redis.ts';

const LOADING_PAUSE_MS = 100;

/** BullMQ recommends this version; older servers lack commands that a take needs. */
const OLDEST_REDIS: readonly [number, number] = [6, 2];

type Info = ReadonlyMap<string, string>;

/** Throws ERR_STACKSHIM_STORE_DENIED if the user may not ask, and _UNSUITABLE for a server that cannot be the store. */
export async function inspectClient(client: Redis, shown: string): Promise<Inspection> {
  const info = await readLoadedInfo(client, shown);
  const valkey = info.get('valkey_version');
  const version = valkey ?? info.get('redis_version') ?? 'unknown';
  if (valkey === undefined && isOlder(version)) {
    const hint = `use Redis ${OLDEST_REDIS.join('.')} or later, or Valkey`;
    throw unsuitable(shown, `Redis ${version} is too old`, hint);
  }
  requirePrimary(info, shown);
  return {
    product: `${valkey === undefined ? 'Redis' : 'Valkey'} ${version}`,
    loss: lossOf(info.get('aof_enabled') === '1', await readConfig(client, 'appendfsync')),
    skewMs: await measureSkew(() => readTimeMs(client)),
  };
}

/** Waits until the server has loaded its data. */
async function readLoadedInfo(client: Redis, shown: string): Promise<Info> {
  for (;;) {
    const text = await client.info().catch((error: unknown) => {
      if (!/^NOPERM /.test(messageOf(error))) throw error;
      const hint = 'let the user run INFO; docs/stores.md lists its rights';
      throw denied(shown, messageOf(error), hint);
    });
    const info = parseInfo(text);
    if ((info.get('loading') ?? '0') === '0') return info;
    await pause(LOADING_PAUSE_MS);
  }
}

/** Undefined if the server refuses CONFIG, as hosted servers do. */
async function readConfig(client: Redis, name: string): Promise<string | undefined> {
  try {
    const [, value] = (await client.config('GET', name)) as readonly string[];
    return value;
  } catch {
    return undefined;
  }
}

/** Parses the lines of INFO into a map by name. */
export function parseInfo(text: string): Info {
  const rows = text.split(/\r?\n/).map((line) => /^(\w+):(.*)$/.exec(line));
  return new Map(rows.flatMap((row) => (row === null ? [] : [[row[1] ?? '', row[2] ?? '']])));
}

/** Throws unless the server is a primary outside of a cluster that never evicts data. */
function requirePrimary(info: Info, shown: string): void {
  if ((info.get('redis_mode') ?? info.get('server_mode')) === 'cluster') {
    const hint =
      'use one primary, with replicas if you like: the keys of a queue do not spread over a cluster';
    throw unsuitable(shown, 'the server is part of a Redis Cluster', hint);
  }
  if (info.get('role') !== 'master') {
    const hint = 'name the primary, or an address that follows it';
    throw unsuitable(shown, 'the server is a read-only replica', hint);
  }
  const policy = info.get('maxmemory_policy') ?? 'unknown';
  if (policy !== 'noeviction') {
    const reason = `the server may throw jobs and locks away: its maxmemory-policy is ${policy}`;
    const hint = 'set maxmemory-policy noeviction in the configuration of the server';
    throw unsuitable(shown, reason, hint);
  }
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < OLDEST_REDIS[0] || (major === OLDEST_REDIS[0] && minor < OLDEST_REDIS[1]);
}

/** How the server may lose acknowledged writes; undefined if it keeps them. `logSync` is its appendfsync; undefined if the server does not tell. */
function lossOf(keepsLog: boolean, logSync: string | undefined): StoreLoss | undefined {
  const hint = 'set appendonly yes and appendfsync always in the configuration of the server';
  if (!keepsLog) {
    return { reason: 'appendonly is off, a crash loses all jobs since the last snapshot', hint };
  }
  if (logSync === 'always') return undefined;
  if (logSync === undefined) {
    return {
      reason: 'the server does not tell its appendfsync, anything but "always" loses jobs',
      hint: 'check the configuration of the server; docs/stores.md says what a loss means',
    };
  }
  const lost = logSync === 'everysec' ? 'the last second' : 'what the disk has not got yet';
  return { reason: `appendfsync is ${logSync}, a power failure loses ${lost}`, hint };
}

/** Inspects a server for `doctor`. Fails as opening the store does. */
export async function inspectRedis(address: RedisAddress): Promise<Inspection> {
  const { client, result } = await openConnection(address, (connected) =>
    inspectClient(connected, address.shown),
  );
  client.disconnect();
  return result;
}
