/** A store with a catalogue, and a client of its queues, for the tests of one file. */
import { mkdtemp, rm } from 'node:fs/promises';
import { afterAll, beforeAll } from 'vitest';
import { openQueues } from '../../../src/worker/client/open-queues.ts';
import type { Queues, QueuesOptions } from '../../../src/worker/client/queues.ts';
import { type Lane, laneName, parseJobName } from '../../../src/worker/job/lane.ts';
import { migrateStore, openStore } from '../../../src/worker/queue-store/open-store.ts';
import type { QueueStore } from '../../../src/worker/queue-store/queue-store.ts';
import { type HandTaken, takeByHand } from './hand-worker.ts';
import { startPostgres } from './start-postgres.ts';
import { startRedis } from './start-redis.ts';

export const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
export const SINCE = '2026-01-31T12:00:00Z';

/** A job of a stack that the catalogue has. */
export const stacked = { stack: 'python-3.13', command: ['true'] } as const;

interface StoreServer {
  readonly url: string;
  freeze(): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

export const STORE_KINDS = ['redis', 'postgres'] as const;
export type StoreKind = (typeof STORE_KINDS)[number];

export interface ClientBed {
  readonly server: StoreServer;
  readonly store: QueueStore;
  readonly queues: Queues;
  /** A temporary folder. */
  readonly folder: string;
  open(more?: Partial<QueuesOptions>): Promise<Queues>;
  /** Takes this job by hand; fails if its lane has another one to take. */
  take(job: string): Promise<HandTaken>;
  /** Writes into the job's record, as anyone with access to the store may. */
  damage(job: string, field: 'data' | 'progress', text: string): Promise<void>;
}

/** The members are there while tests run. */
export function useClientBed(kind: StoreKind): ClientBed {
  const bed = {} as { -readonly [K in keyof ClientBed]: ClientBed[K] };
  bed.open = (more = {}) => openQueues({ store: bed.server.url, installation: false, ...more });
  bed.take = async (job) => {
    const taken = await takeByHand(bed.store, laneOf(job));
    if (taken?.job.id !== parseJobName(job).id) throw new Error(`took ${taken?.job.id}`);
    return taken;
  };
  beforeAll(async () => {
    Object.assign(bed, kind === 'redis' ? await onRedis() : await onPostgres());
    await migrateStore(bed.server.url);
    bed.store = await openStore(bed.server.url, { lockMs: 30_000, stalledLookMs: 30_000 });
    await bed.store.catalogue.put(CATALOGUE);
    bed.folder = await mkdtemp('/var/tmp/stackshim-client-');
    bed.queues = await bed.open();
  });
  afterAll(async () => {
    await bed.queues?.close();
    await bed.store?.close();
    await bed.server?.remove();
    await rm(bed.folder, { recursive: true, force: true });
  });
  return bed;
}

type StoreParts = Pick<ClientBed, 'server' | 'damage'>;

async function onRedis(): Promise<StoreParts> {
  const server = await startRedis({ log: 'always' });
  return {
    server,
    async damage(job, field, text) {
      const { lane, id } = parseJobName(job);
      await server.command('HSET', `stackshim:${laneName(lane)}:${id}`, field, text);
    },
  };
}

async function onPostgres(): Promise<StoreParts> {
  const server = await startPostgres();
  return {
    server,
    async damage(job, field, text) {
      const { id } = parseJobName(job);
      await server.query(`update bullmq.job set ${field} = '${text}'::jsonb where id = '${id}'`);
    },
  };
}

const CATALOGUE = new Map([
  ['stack/python-3.13', { digest: digest('a'), since: SINCE }],
  ['code//mailer', { digest: digest('b'), since: SINCE, stack: 'python-3.13', priority: 7 }],
  [
    'code/acme/mailer',
    { digest: digest('c'), since: SINCE, stack: 'python-3.13', maxConcurrency: 2 },
  ],
]);

export const laneOf = (job: string): Lane => parseJobName(job).lane;

export async function textOf(
  pieces: AsyncIterable<{ readonly bytes: Uint8Array }>,
): Promise<string> {
  let all = '';
  for await (const { bytes } of pieces) all += Buffer.from(bytes).toString('utf8');
  return all;
}
