/**
 * Jobs on machines that lack what the jobs need: names come from the catalogue, images from a registry. Three stores and docker-registry on
 * one machine. Requires: root, docker-registry, skopeo, redis-server.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
// The worker starts its guard from a built file.
import {
  createWorker,
  openQueues,
  type Queues,
  type QueueWorker,
  type WorkerEvent,
  type WorkerOptions,
} from '../../dist/lib/worker/index.js';
import type { Layout } from '../../src/core/layout.ts';
import { openStackshim } from '../../src/index.ts';
import { codePlace, stackPlace } from '../../src/worker/supply/registry-places.ts';
import { type LoopbackRegistry, startRegistry } from '../support/images/loopback-registry.ts';
import { disposeInstallation } from '../support/installation/dispose-installation.ts';
import { optionsOf } from '../support/installation/test-layout.ts';
import { useExchangeLab } from '../support/stacks/exchange-lab.ts';
import { makeSecondMachine } from '../support/stacks/second-machine.ts';
import { type RedisServer, startRedis } from '../support/stores/start-redis.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const lab = useExchangeLab();
const HTTP = { tlsVerify: false } as const;
const TENANT = 'Acme';
const first = openStackshim(lab.installation.options);
let registry: LoopbackRegistry;
let redis: RedisServer;
let machines: readonly Layout[];
/** Knows no installation. */
let queues: Queues;
let prefix: string;
let image: string;

beforeAll(async () => {
  registry = await startRegistry(`${lab.folder}/registry`);
  prefix = `${registry.host}/jobs`;
  redis = await startRedis();
  chmodSync(lab.folder, 0o711);
  machines = ['second', 'third', 'fourth'].map((name) => {
    mkdirSync(`${lab.folder}/${name}`);
    return makeSecondMachine(`${lab.folder}/${name}`, lab.installation.layout).layout;
  });
  const code = `${lab.folder}/mailer`;
  mkdirSync(code);
  writeFileSync(`${code}/main`, 'from the package\n');
  const settings = { stack: 'busybox', command: ['cat', 'main'], maxConcurrency: 4 };
  image = (await first.code.add('mailer', code, { ...settings, tenant: TENANT })).image;
  const place = codePlace(prefix, TENANT, 'mailer');
  await first.code.push('mailer', `docker://${place}:v1`, { ...HTTP, tenant: TENANT });
  await first.stacks.push('busybox', `docker://${stackPlace(prefix, 'busybox')}:v1`, HTTP);
  queues = await openQueues({ store: redis.url, installation: false });
});

afterAll(async () => {
  await queues?.close();
  await redis?.remove();
  await registry?.close();
  for (const machine of machines ?? []) disposeInstallation(machine);
});

async function withWorkers<T>(
  all: readonly Partial<WorkerOptions>[],
  use: (events: readonly WorkerEvent[]) => Promise<T>,
): Promise<T> {
  const events: WorkerEvent[] = [];
  const workers: QueueWorker[] = [];
  try {
    for (const options of all) {
      const common = { store: redis.url, onEvent: (event: WorkerEvent) => events.push(event) };
      workers.push(await createWorker({ ...common, queues: ['mail'], ...options }));
    }
    return await use(events);
  } finally {
    await Promise.all(workers.map((worker) => worker.drain()));
  }
}

const withRegistry = (layout: Layout) => ({
  ...optionsOf(layout),
  registry: { prefix, ...HTTP },
  concurrency: 2,
});

/** Once a worker has published the names. */
const enqueue = (queue: string) =>
  waitUntil(async () => {
    try {
      return (await queues.enqueue(queue, { code: 'mailer' }, { tenant: TENANT })).job;
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_STACKSHIM_PACKAGE_NOT_FOUND') throw error;
      return undefined;
    }
  });

it('workers publish names, and pull by digest what the jobs of others need', async () => {
  const publishes = { ...lab.installation.options, queues: ['nothing'] };
  const both = machines.slice(0, 2).map(withRegistry);
  await withWorkers([publishes, ...both], async (events) => {
    const jobs = [await enqueue('mail')];
    for (let more = 0; more < 5; more += 1) jobs.push(await enqueue('mail'));
    const ended = await Promise.all(jobs.map((job) => queues.wait(job)));
    const stack = await first.stacks.show('busybox');
    for (const { state, code, result, stack: bound } of ended) {
      expect([state, code]).toEqual(['complete', `mailer@${image}`]);
      expect(bound).toBe(`busybox@${stack.content}`);
      expect(result?.task).toMatchObject({ image: stack.content, verdict: 'succeeded' });
    }
    expect(events.filter(({ type }) => type === 'job_handed_back')).toEqual([]);
  });
});

it('without a registry, a job is left to another worker', async () => {
  const [, , bare] = machines;
  if (bare === undefined) throw new Error('no fourth machine');
  const lonely = { ...optionsOf(bare), queues: ['lonely'] };
  const job = await enqueue('lonely');
  await withWorkers([lonely], async (events) => {
    await waitUntil(() => events.some(({ type }) => type === 'job_handed_back'));
  });
  expect(await queues.status(job)).toMatchObject({ state: 'queued', result: null });
  const able = { ...lab.installation.options, queues: ['lonely'] };
  await withWorkers([able], async () => {
    expect(await queues.wait(job)).toMatchObject({ state: 'complete', attempts: [] });
  });
});

it('an announced stack is pulled before a job needs it', async () => {
  const changed = { id: 'changed', keep: true, stack: 'busybox', command: ['touch', '/new'] };
  await first.run(changed);
  await first.stacks.commit('changed', 'fresh');
  await first.kill('changed');
  const pushed = await first.stacks.push(
    'fresh',
    `docker://${stackPlace(prefix, 'fresh')}:v1`,
    HTTP,
  );
  const [second] = machines;
  if (second === undefined) throw new Error('no second machine');
  const producer = await openQueues({ store: redis.url, installation: lab.installation.options });
  await producer.announce(['fresh']);
  await producer.close();
  const machine = openStackshim(optionsOf(second));
  await withWorkers([{ ...withRegistry(second), queues: ['nothing'] }], async () => {
    const isHere = async () => (await machine.stacks.list()).some(({ name }) => name === 'fresh');
    await waitUntil(isHere);
  });
  expect((await machine.stacks.show('fresh')).content).toBe(pushed.content);
});
