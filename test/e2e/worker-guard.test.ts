/** The guard of `stackshim worker`: tasks of a worker that is stopped or killed are dead before the locks of their jobs are gone. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { tasksDir } from '../../src/core/layout.ts';
import { openStore } from '../../src/worker/queue-store/open-store.ts';
import type { QueueStore } from '../../src/worker/queue-store/queue-store.ts';
import { type JobStore, STORE_KINDS, startJobStore } from '../integration/support/job-stores.ts';
import { startCli } from '../support/cli/run-cli.ts';
import { useTaskRunner } from '../support/cli/task-runner.ts';
import { expectDeadInTime } from '../support/queues/expect-dead-in-time.ts';
import { addJobs, laneOf } from '../support/queues/lanes.ts';
import { scaled } from '../support/timing/time-scale.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const { installation } = useTaskRunner([/^file \S+\/workers\//, /^process \d+ postgres /]);
const { layout, env } = installation;
const LOCK_S = scaled(5);

describe.each(STORE_KINDS)('on %s', (kind) => {
  let server: JobStore;
  let store: QueueStore;

  beforeAll(async () => {
    server = await startJobStore(kind);
    store = await openStore(server.url, { lockMs: LOCK_S * 1_000, stalledLookMs: LOCK_S * 1_000 });
  });
  afterAll(async () => {
    await store?.close();
    await server?.remove();
  });

  it.each(['SIGSTOP', 'SIGKILL'] as const)('holds after %s', async (signal) => {
    const queue = `q-${signal.toLowerCase()}`;
    const args = ['--lock', `${LOCK_S}s`, '--store', server.url, queue];
    const worker = startCli(['worker', ...args], { env });
    try {
      await worker.printed('"event":"started"');
      const script = 'trap : TERM; while :; do sleep 0.05; done';
      const data = { version: 1, stack: 'busybox', command: ['sh', '-c', script] };
      await addJobs(store, laneOf(queue), [{ jobId: 'endless', data }]);
      const pid = await waitUntil(() => {
        const [task] = existsSync(tasksDir(layout)) ? readdirSync(tasksDir(layout)) : [];
        const file = `${tasksDir(layout)}/${task}/limit`;
        return existsSync(file)
          ? Number(readFileSync(`${tasksDir(layout)}/${task}/pid`, 'utf8'))
          : undefined;
      });
      worker.child.kill(signal);
      await expectDeadInTime(pid, () => server.lockEndMs(laneOf(queue), 'endless'));
    } finally {
      worker.child.kill('SIGKILL');
      await worker.ended;
      await waitUntil(() => readdirSync(tasksDir(layout)).length === 0);
    }
  });
});
