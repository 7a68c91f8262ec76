/** A worker as a process: takes jobs, drains, and what is left of its tasks when it is killed or stopped. */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { JobJson } from 'bullmq';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { toTaskId } from '../../src/core/ids.ts';
import { tasksDir } from '../../src/core/layout.ts';
import { reapTasks } from '../../src/task/abandoned/reap.ts';
import { openInstallation } from '../../src/task/installation.ts';
import type { Lane } from '../../src/worker/job/lane.ts';
import { readStatus } from '../../src/worker/job/read-status.ts';
import { openStore } from '../../src/worker/queue-store/open-store.ts';
import type { QueueStore } from '../../src/worker/queue-store/queue-store.ts';
import { useInstallation } from '../support/installation/installation.ts';
import { expectDeadInTime } from '../support/queues/expect-dead-in-time.ts';
import { WorkerProcess } from '../support/queues/worker-process.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import { type JobStore, STORE_KINDS, startJobStore } from './support/job-stores.ts';

/** A server begins processes of its own as it needs them. */
const { options, layout } = useInstallation([/^file \S+\/workers\//, /^process \d+ postgres /]);
/** Tasks are killed after 0.8 of it: on a busy machine, the guard needs a part of the rest. */
const LOCK_MS = scaled(3_000);
let server: JobStore;
let store: QueueStore;
let queue: string;
let workers: WorkerProcess[] = [];

beforeEach(() => {
  queue = `q${randomBytes(6).toString('hex')}`;
});
afterEach(async () => {
  for (const worker of workers) await worker.end('SIGKILL');
  workers = [];
  await waitUntil(async () => {
    await reapTasks(openInstallation(layout));
    return !existsSync(tasksDir(layout)) || readdirSync(tasksDir(layout)).length === 0;
  });
});

async function startWorker(more: object = {}): Promise<WorkerProcess> {
  const worker = await WorkerProcess.start({
    ...options,
    store: server.url,
    queues: [queue],
    concurrency: 2,
    lockMs: LOCK_MS,
    drainMs: 0,
    ...more,
  });
  workers.push(worker);
  return worker;
}

const lane = (): Lane => ({ queue, tenant: undefined, code: undefined });

async function add(data: object): Promise<string> {
  const id = toTaskId(randomBytes(13));
  const json = { id, name: 'v1', data: JSON.stringify(data), opts: {}, timestamp: Date.now() };
  const job = { progress: 0, attemptsMade: 0, ...json } as unknown as JobJson;
  await store.announce(lane(), () => store.backend(lane()).addJob(job, id));
  return id;
}

const sh = (script: string, more: object = {}) => ({
  version: 1,
  stack: 'busybox',
  command: ['sh', '-c', script],
  ...more,
});

async function statusOf(id: string) {
  const backend = store.backend(lane());
  // In this order: a job that ends in between is not one that has ended without a result.
  const list = await backend.getState(id);
  const json = await backend.getJobData(id);
  if (json === undefined) throw new Error(`no job ${id}`);
  return readStatus({ lane: lane(), id }, { json, list });
}

const hasEnded = (id: string) => async () => (await statusOf(id)).result ?? undefined;
const isRunning = (id: string) => async () => (await statusOf(id)).state === 'running';
const lockEndMs = (id: string) => () => server.lockEndMs(lane(), id);

/** The pid of the only task. */
async function taskPid(): Promise<number> {
  return await waitUntil(() => {
    const [id] = readdirSync(tasksDir(layout));
    const file = `${tasksDir(layout)}/${id}/pid`;
    return existsSync(file) ? Number(readFileSync(file, 'utf8')) || undefined : undefined;
  });
}

const FOREVER = 'while :; do sleep 0.05; done';

describe.each(STORE_KINDS)('on %s', (kind) => {
  beforeAll(async () => {
    server = await startJobStore(kind);
    store = await openStore(server.url, { lockMs: LOCK_MS, stalledLookMs: LOCK_MS });
  });
  afterAll(async () => {
    await store.close();
    await server.remove();
  });

  it('a worker takes jobs, runs them, and ends when it is told to', async () => {
    const worker = await startWorker();
    const ids = await Promise.all([add(sh('true')), add(sh('exit 4')), add(sh('echo hello'))]);
    const results = await Promise.all(ids.map((id) => waitUntil(hasEnded(id))));
    expect(results).toMatchObject([
      { state: 'complete' },
      { state: 'error' },
      { state: 'complete' },
    ]);
    await worker.end('SIGTERM');
    expect(worker.child.exitCode).toBe(0);
    // Its last words may be read after its end.
    await worker.saw('closed');
    expect(worker.events.at(-1)).toEqual({ type: 'closed' });
  });

  it('a worker that drains hands its jobs back, and another one runs them', async () => {
    const worker = await startWorker();
    const id = await add(sh(FOREVER, { timeout: '1h' }));
    await waitUntil(isRunning(id));
    await worker.end('SIGTERM');
    expect(worker.child.exitCode).toBe(0);
    expect(await statusOf(id)).toMatchObject({ state: 'queued', attempts: [] });
    const other = await startWorker();
    await waitUntil(isRunning(id));
    await other.end('SIGTERM');
  });

  it('the tasks of a killed worker are gone before their locks are, and its jobs run again', async () => {
    const worker = await startWorker();
    const script = '[ -e $PAYLOAD_FILE ] && cat $PAYLOAD_FILE; sleep 600';
    const id = await add(sh(script, { payload: 'x' }));
    await waitUntil(isRunning(id));
    const pid = await taskPid();
    await worker.end('SIGKILL');
    await expectDeadInTime(pid, lockEndMs(id));
    const other = await startWorker();
    await other.saw('job_taken');
    await waitUntil(isRunning(id));
  });

  it('the tasks of a stopped worker are dead before their locks are gone', async () => {
    const worker = await startWorker();
    const id = await add(sh(`trap : TERM; ${FOREVER}`));
    await waitUntil(isRunning(id));
    const pid = await taskPid();
    worker.child.kill('SIGSTOP');
    await expectDeadInTime(pid, lockEndMs(id));
    worker.child.kill('SIGCONT');
    // What it says about the task that the guard has killed counts no more.
    await worker.saw('lock_lost');
    expect((await statusOf(id)).attempts).toEqual([]);
  });

  it('a worker whose guard is killed gets another one', async () => {
    const worker = await startWorker();
    process.kill(worker.guardPid(), 'SIGKILL');
    await worker.saw('guard_restarted');
    const id = await add(sh(FOREVER));
    await waitUntil(isRunning(id));
    const pid = await taskPid();
    worker.child.kill('SIGSTOP');
    await expectDeadInTime(pid, lockEndMs(id));
  });
});
