/** Stores of the queue worker that fail as servers do. */
import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { migrateStore } from '../../../src/worker/queue-store/open-store.ts';
import { type PostgresServer, startPostgres } from '../../support/stores/start-postgres.ts';
import { type RedisServer, startRedis } from '../../support/stores/start-redis.ts';

export const STORE_KINDS = ['redis', 'postgres'] as const;

export interface FaultStore {
  readonly url: string;
  /** As an operator does it. */
  restart(): Promise<void>;
  /** Ends the server without a chance to write anything, and starts it again: it keeps what it acknowledged. */
  crash(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): void;
  remove(): Promise<void>;
}

/** A server that acknowledges what a crash may lose. */
export interface LossyStore extends FaultStore {
  /** The server comes back without what it acknowledged while `work` ran. */
  lose(work: () => Promise<void>): Promise<void>;
  /** A replica takes the place of its primary, at the same address. Undefined: this kind has none. */
  readonly failOver: (() => Promise<void>) | undefined;
}

export const startFaultStore = (kind: (typeof STORE_KINDS)[number]): Promise<FaultStore> =>
  kind === 'redis' ? startKeepingRedis() : startKeepingPostgres();

export const startLossyStore = (kind: (typeof STORE_KINDS)[number]): Promise<LossyStore> =>
  kind === 'redis' ? startLossyRedis() : startLossyPostgres();

const startKeepingRedis = async (): Promise<FaultStore> =>
  ofRedis(await startRedis({ log: 'always' }));

function ofRedis(server: RedisServer): FaultStore {
  return {
    ...server,
    async restart() {
      await server.stop();
      await server.start();
    },
    async crash() {
      await server.kill();
      await server.start();
    },
  };
}

async function startLossyRedis(): Promise<LossyStore> {
  const primary = await startRedis({ log: 'everysec' });
  const replica = await startRedis({ log: 'everysec', replicaOf: primary.port });
  const logs = join(await settingOf(primary.command, 'dir'), 'appendonlydir');
  const log = () => {
    const name = readdirSync(logs).find((one) => one.endsWith('.incr.aof'));
    if (name === undefined) throw new Error(`no log in ${logs}`);
    return join(logs, name);
  };
  return {
    ...ofRedis(primary),
    async lose(work) {
      const { size } = statSync(log());
      await work();
      await primary.kill();
      // A process that is killed loses nothing that it wrote: the disk of a machine without power has not got the end of the log.
      truncateSync(log(), size);
      await primary.start();
    },
    async failOver() {
      await primary.kill();
      await replica.command('REPLICAOF', 'NO', 'ONE');
      await replica.command('CONFIG', 'SET', 'port', primary.port);
    },
    async remove() {
      await primary.remove();
      await replica.remove();
    },
  };
}

type Command = (name: string, ...args: readonly (string | number)[]) => Promise<unknown>;

async function settingOf(command: Command, name: string): Promise<string> {
  const [, value] = (await command('CONFIG', 'GET', name)) as readonly string[];
  return value ?? '';
}

async function startKeepingPostgres(): Promise<FaultStore> {
  return toFaultStore(await startPostgres());
}

async function startLossyPostgres(): Promise<LossyStore> {
  const settings = ['synchronous_commit=off', 'wal_writer_delay=1s'];
  const server = await startPostgres({ settings });
  const store = await toFaultStore(server);
  return {
    ...store,
    async lose(work) {
      // What comes after the flush is lost, unless its buffers are flushed meanwhile.
      await server.query('checkpoint');
      await work();
      await store.crash();
    },
    failOver: undefined,
  };
}

async function toFaultStore(server: PostgresServer): Promise<FaultStore> {
  await migrateStore(server.url);
  return {
    ...server,
    async restart() {
      // The mode `immediate` of pg_ctl.
      process.kill(server.pid(), 'SIGQUIT');
      await server.stop();
      await server.start();
    },
    async crash() {
      await server.kill();
      await server.start();
    },
  };
}
