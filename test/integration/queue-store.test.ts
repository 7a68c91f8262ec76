/** The port to the store of the queues, on real servers. */
import { Job as BullJob, type Job, Queue } from 'bullmq';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Lane, laneName } from '../../src/worker/job/lane.ts';
import { migrateStore, openStore } from '../../src/worker/queue-store/open-store.ts';
import type { CatalogueEntry, QueueStore } from '../../src/worker/queue-store/queue-store.ts';
import { startPostgres } from '../support/stores/start-postgres.ts';
import { startRedis } from '../support/stores/start-redis.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

interface Server {
  readonly url: string;
  remove(): Promise<void>;
}

const kinds: readonly [string, () => Promise<Server>][] = [
  ['redis', () => startRedis({ password: 'secret' })],
  [
    'postgres',
    async () => {
      const server = await startPostgres({ password: 'secret' });
      await migrateStore(server.url);
      return server;
    },
  ],
];

describe.each(kinds)('on %s', (kind, start) => {
  let server: Server;
  let store: QueueStore;
  let other: QueueStore;

  beforeAll(async () => {
    server = await start();
    [store, other] = await Promise.all([open(server), open(server)]);
  });

  afterAll(async () => {
    await Promise.all([store?.close(), other?.close()]);
    await server?.remove();
  });

  it('shows the URL without the password', () => {
    expect(store.kind).toBe(kind);
    expect(store.shown).not.toContain('secret');
  });

  it('announces a lane, then the job, then rings the bell', async () => {
    const lane = laneOf('announce');
    const seen: unknown[] = [];
    const unlisten = await other.listen(['announce'], {
      onBell: (rung) => seen.push(rung),
      onCancel: () => undefined,
      onGap: () => undefined,
    });
    await store.announce(lane, () => add(store, lane, 'one'));
    await waitUntil(() => seen.length > 0);
    expect(seen).toEqual(seen.map(() => lane));
    const [job] = await take(other, lane);
    expect(job?.id).toBe('one');
    unlisten();
  });

  it('delivers messages about cancelled jobs of the queues asked for, and none after the end', async () => {
    const [first, second] = [laneOf('cancel-a'), laneOf('cancel-b')];
    const seen: unknown[] = [];
    const all: unknown[] = [];
    const listeners = { onBell: () => undefined, onGap: () => undefined };
    const unlistenOne = await other.listen(['cancel-a'], {
      ...listeners,
      onCancel: (lane, id) => seen.push([lane, id]),
    });
    const unlistenBoth = await other.listen(['cancel-a', 'cancel-b'], {
      ...listeners,
      onCancel: (lane, id) => all.push([lane, id]),
    });
    await store.sendCancel(second, 'x');
    await store.sendCancel(first, 'repeat:nightly:1700000000000');
    await waitUntil(() => all.length === 2);
    expect(seen).toEqual([[first, 'repeat:nightly:1700000000000']]);
    unlistenOne();
    await store.sendCancel(first, 'z');
    await waitUntil(() => all.length === 3);
    expect(seen).toHaveLength(1);
    unlistenBoth();
  });

  it('lists the lanes of one queue, all or those of late', async () => {
    const lanes = ['a', 'b', undefined].map((tenant) => laneOf('list', tenant));
    for (const lane of lanes) await store.announce(lane, () => add(store, lane, 'x'));
    await store.announce(laneOf('list-other'), () => add(store, laneOf('list-other'), 'x'));
    const byName = (found: readonly Lane[]) => found.map(laneName).sort();
    expect(byName(await store.listLanes('list'))).toEqual(byName(lanes));
    const now = await store.serverTimeMs();
    expect(byName(await store.listLanes('list', now))).toEqual(byName(lanes));
    expect(await store.listQueues()).toEqual(expect.arrayContaining(['list', 'list-other']));
  });

  it('prunes lanes without jobs, and none that has a job of any kind', async () => {
    const [empty, waiting, delayed, active] = ['e', 'w', 'd', 'a'].map((name) =>
      laneOf('prune', name),
    ) as [Lane, Lane, Lane, Lane];
    await store.announce(empty, async () => undefined);
    await store.announce(waiting, () => add(store, waiting, 'x'));
    await store.announce(delayed, () => add(store, delayed, 'x', { delay: 3_600_000 }));
    await store.announce(active, () => add(store, active, 'x'));
    await take(store, active);
    const removed = await store.pruneLanes([empty, waiting, delayed, active]);
    const left = await store.listLanes('prune');
    expect(left.map(laneName).sort()).toEqual([active, delayed, waiting].map(laneName).sort());
    expect(removed).toEqual([empty]);
  });

  it('strands no job that is added while its lane is pruned', async () => {
    const lane = laneOf('race');
    let isDone = false;
    const pruning = (async () => {
      while (!isDone) await Promise.all([store.pruneLanes([lane]), other.pruneLanes([lane])]);
    })();
    const ids = Array.from({ length: 200 }, (_, at) => `job-${at}`);
    for (const id of ids) {
      await store.announce(lane, () => add(store, lane, id));
      // Listed until its job is taken, whatever the pruners do.
      expect(await other.listLanes('race')).toEqual([lane]);
      const [job, token] = await take(store, lane);
      await job?.moveToCompleted(null, token, false);
    }
    isDone = true;
    await pruning;
  });

  it('lists the lanes with active jobs of the queues asked for', async () => {
    const [first, second] = [laneOf('active', 'a'), laneOf('active-other')];
    for (const lane of [first, second]) {
      await store.noteActive(lane);
      await add(store, lane, 'x');
      await take(store, lane);
    }
    expect(await other.listActive(['active'])).toEqual([first]);
    // Noted just now: another worker may be about to take a job.
    await other.forgetActive(first);
    expect(await other.listActive(['active'])).toEqual([first]);
  });

  it('peeks at the names of the next jobs, and at the time of the first delayed one', async () => {
    const lane = laneOf('peek');
    expect(await store.peek(lane, 3)).toEqual({ names: [], dueMs: undefined });
    await add(store, lane, 'later', { name: 'v1 9', priority: 2 });
    await add(store, lane, 'first', { name: 'v1 1' });
    await add(store, lane, 'second', { name: 'v1 2' });
    await add(store, lane, 'sooner', { name: 'v1 8', priority: 1 });
    const before = await store.serverTimeMs();
    await add(store, lane, 'in-a-minute', { delay: 60_000 });
    const head = await store.peek(lane, 3);
    expect(head.names).toEqual(['v1 1', 'v1 2', 'v1 8']);
    expect(head.dueMs).toBeGreaterThan(before + 30_000);
    expect(head.dueMs).toBeLessThan(before + 600_000);
    await store.backend(lane).pause(true);
    expect((await store.peek(lane, 9)).names).toEqual(['v1 1', 'v1 2', 'v1 8', 'v1 9']);
    const taken = await take(store, lane);
    expect(taken[0]).toBeUndefined();
  });

  it('keeps a catalogue, and reads nothing that is no entry', async () => {
    const entry: CatalogueEntry = {
      digest: `sha256:${'a'.repeat(64)}`,
      since: '2026-01-01T00:00:00.000Z',
      stack: 'python-3.13@rev:2',
      retries: 3,
    };
    const bad = { digest: 'x', since: 'y' };
    await store.catalogue.put(
      new Map([
        ['stack/a', entry],
        ['code/t/b', entry],
        ['stack/bad', bad],
      ]),
    );
    await store.catalogue.put(new Map([['code/t/b', null]]));
    expect(await other.catalogue.get(['stack/a', 'code/t/b', 'stack/bad', 'stack/none'])).toEqual([
      entry,
      undefined,
      undefined,
      undefined,
    ]);
    expect(await other.catalogue.get([])).toEqual([]);
    await store.catalogue.put(new Map());
    // The servers of these tests keep nothing: what they lose is told.
    expect(store.loss?.reason).toMatch(/appendonly is off|fsync is off/);
  });

  it('tells the time of the server', async () => {
    const seen = await store.serverTimeMs();
    expect(Math.abs(seen - Date.now())).toBeLessThan(60_000);
  });

  it('gives jobs locks of the store’s own length, and finds them stalled', async () => {
    const lane = laneOf('stalled');
    const brief = await openStore(server.url, { lockMs: 50, stalledLookMs: 10 });
    await add(brief, lane, 'x');
    await take(brief, lane);
    const back = await waitUntil(async () => {
      const ids = await brief.backend(lane).moveStalledJobsToWait();
      return ids.length > 0 && ids;
    });
    expect(back).toEqual(['x']);
    await brief.close();
  });

  it('takes no job from others because of a clock that is a minute off', async () => {
    const lane = laneOf('skew');
    const quick = await openStore(server.url, { lockMs: 30_000, stalledLookMs: 1 });
    const stealAgainAndAgain = async () => {
      for (const _ of [1, 2, 3, 4, 5]) {
        expect(await quick.backend(lane).moveStalledJobsToWait()).toEqual([]);
        const before = await quick.serverTimeMs();
        await waitUntil(async () => (await quick.serverTimeMs()) > before + 2);
      }
    };
    await add(store, lane, 'x');
    await add(store, lane, 'y');
    await take(store, lane);
    const now = Date.now.bind(Date);
    const clock = vi.spyOn(Date, 'now');
    clock.mockImplementation(() => now() + 60_000);
    await stealAgainAndAgain();
    clock.mockImplementation(() => now() - 60_000);
    const [job, token] = await take(quick, lane);
    expect(await quick.backend(lane).extendLock('y', token, 30_000)).toBe(1);
    clock.mockRestore();
    await stealAgainAndAgain();
    expect(await quick.backend(lane).getState('x')).toBe('active');
    await job?.moveToCompleted(null, token, false);
    await quick.close();
  });

  it('tells listeners once when the clocks come to differ', async () => {
    const seen: number[] = [];
    const unlisten = await other.listen(['none'], {
      onBell: () => undefined,
      onCancel: () => undefined,
      onGap: () => undefined,
      onSkew: (skewMs) => seen.push(skewMs),
    });
    const now = Date.now.bind(Date);
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + 45_000);
    await waitUntil(() => seen.length > 0);
    clock.mockRestore();
    unlisten();
    expect(seen).toHaveLength(1);
    expect(seen[0]).toBeLessThan(-40_000);
    expect(seen[0]).toBeGreaterThan(-50_000);
  });

  it('refuses calls after it was closed', async () => {
    const brief = await open(server);
    const lane = laneOf('closed');
    const backend = brief.backend(lane);
    await brief.close();
    await brief.close();
    const code = 'ERR_STACKSHIM_STORE_CLOSED';
    await expect(brief.serverTimeMs()).rejects.toMatchObject({ code });
    await expect(backend.getCounts(['waiting'])).rejects.toMatchObject({ code });
    await expect(brief.ring(lane)).rejects.toMatchObject({ code });
  });
});

const open = (server: Server) => openStore(server.url, { lockMs: 30_000, stalledLookMs: 1000 });

function laneOf(queue: string, tenant?: string): Lane {
  return { queue, tenant: tenant as Lane['tenant'], code: undefined };
}

interface AddOptions {
  readonly name?: string;
  readonly priority?: number;
  readonly delay?: number;
}

async function add(
  store: QueueStore,
  lane: Lane,
  jobId: string,
  { name = 'v1', ...options }: AddOptions = {},
): Promise<void> {
  await queueOf(store, lane).add(name, {}, { jobId, ...options });
}

const queueOf = (store: QueueStore, lane: Lane) =>
  new Queue(laneName(lane), { connection: {}, skipMetasUpdate: true }, () => store.backend(lane));

async function take(store: QueueStore, lane: Lane): Promise<readonly [Job | undefined, string]> {
  const token = `token-${Math.random()}`;
  const backend = store.backend(lane);
  const [json, id] = await backend.moveToActive(token);
  const job = json ? BullJob.fromJSON(queueOf(store, lane), json, id) : undefined;
  return [job, token];
}
