/** Both kinds of store for tests of jobs: a private server, and what other workers and faults do to a job in it. */
import { type Lane, laneName } from '../../../src/worker/job/lane.ts';
import { migrateStore } from '../../../src/worker/queue-store/open-store.ts';
import { startPostgres } from '../../support/stores/start-postgres.ts';
import { startRedis } from '../../support/stores/start-redis.ts';

export interface JobStore {
  readonly url: string;
  freeze(): Promise<void>;
  thaw(): void;
  /** Another worker has the job's lock. */
  stealLock(lane: Lane, id: string): Promise<void>;
  /** The job waits again, although its worker did not let go of it. */
  bringBack(lane: Lane, id: string): Promise<void>;
  /** So many workers have died while they ran the job. */
  setDeaths(lane: Lane, id: string, count: number): Promise<void>;
  /** The job's data becomes one field with so many characters. */
  setData(lane: Lane, id: string, chars: number): Promise<void>;
  /** When the job's lock expires, in milliseconds since 1970; 0 if it has expired. */
  lockEndMs(lane: Lane, id: string): Promise<number>;
  /** Forgets all jobs. */
  clear(): Promise<void>;
  remove(): Promise<void>;
}

export const STORE_KINDS = ['redis', 'postgres'] as const;

export const startJobStore = (kind: (typeof STORE_KINDS)[number]): Promise<JobStore> =>
  kind === 'redis' ? startOnRedis() : startOnPostgres();

async function startOnRedis(): Promise<JobStore> {
  const server = await startRedis();
  const key = (lane: Lane, rest: string) => `stackshim:${laneName(lane)}:${rest}`;
  return {
    url: server.url,
    freeze: server.freeze,
    thaw: server.thaw,
    remove: server.remove,
    async stealLock(lane, id) {
      await server.command('SET', key(lane, `${id}:lock`), 'another', 'PX', 600_000);
    },
    async bringBack(lane, id) {
      await server.command('DEL', key(lane, `${id}:lock`));
      await server.command('LREM', key(lane, 'active'), 0, id);
      await server.command('LPUSH', key(lane, 'wait'), id);
    },
    async setDeaths(lane, id, count) {
      await server.command('HSET', key(lane, id), 'stc', count, 'ats', count);
    },
    async setData(lane, id, chars) {
      const data = JSON.stringify({ payload: 'x'.repeat(chars) });
      await server.command('HSET', key(lane, id), 'data', data);
    },
    async lockEndMs(lane, id) {
      const end = Number(await server.command('PEXPIRETIME', key(lane, `${id}:lock`)));
      return Math.max(0, end);
    },
    async clear() {
      await server.command('FLUSHDB');
    },
  };
}

async function startOnPostgres(): Promise<JobStore> {
  const server = await startPostgres({ settings: ['fsync=off', 'synchronous_commit=off'] });
  await migrateStore(server.url);
  const update = async (lane: Lane, id: string, change: string) => {
    const where = `queue = '${laneName(lane)}' AND id = '${id}'`;
    await server.query(`UPDATE bullmq.job SET ${change} WHERE ${where}`);
  };
  return {
    url: server.url,
    freeze: server.freeze,
    thaw: server.thaw,
    remove: server.remove,
    stealLock: (lane, id) => update(lane, id, "lock_token = 'another'"),
    bringBack: (lane, id) =>
      update(lane, id, "state = 'waiting', lock_token = NULL, locked_until_ms = NULL"),
    setDeaths: (lane, id, count) =>
      update(lane, id, `stalled_count = ${count}, attempts_started = ${count}`),
    setData: (lane, id, chars) =>
      update(lane, id, `data = jsonb_build_object('payload', repeat('x', ${chars}))`),
    async lockEndMs(lane, id) {
      const where = `queue = '${laneName(lane)}' AND id = '${id}'`;
      const rows = await server.query(`SELECT locked_until_ms FROM bullmq.job WHERE ${where}`);
      const [row] = rows as readonly { readonly locked_until_ms: string | null }[];
      return Number(row?.locked_until_ms ?? 0);
    },
    async clear() {
      await server.query('TRUNCATE bullmq.job CASCADE');
    },
  };
}
