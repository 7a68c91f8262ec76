/** Takes jobs by hand and ends them in the form in which workers do. */
import { randomUUID } from 'node:crypto';
import type { IQueueBackend, Job } from 'bullmq';
import { Worker } from 'bullmq';
import type { FinalState, JobResult } from '../../../src/worker/job/job-result.ts';
import { type Lane, laneName } from '../../../src/worker/job/lane.ts';
import type { QueueStore } from '../../../src/worker/queue-store/queue-store.ts';

export interface HandTaken {
  readonly job: Job;
  readonly backend: IQueueBackend;
  /** Rows of the log: the attempt's output. */
  log(stream: 'out' | 'err', text: string): Promise<void>;
  end(state: FinalState, more?: Partial<JobResult>): Promise<void>;
}

/** Undefined if the lane has no job to take. */
export async function takeByHand(store: QueueStore, lane: Lane): Promise<HandTaken | undefined> {
  const token = randomUUID();
  const backend = store.backend(lane);
  const worker = new Worker(laneName(lane), null, WORKER_OPTIONS, () => backend);
  worker.on('error', () => undefined);
  const job = await worker.getNextJob(token, { block: false });
  if (job === undefined) return undefined;
  const attempt = job.attemptsMade + 1;
  return {
    job,
    backend,
    async log(stream, text) {
      await backend.addLog(
        job.id ?? '',
        JSON.stringify({ a: attempt, t: Date.now(), s: stream, d: text }),
      );
    },
    async end(state, more = {}) {
      const result = { ...toResult(state, attempt), ...more };
      if (state === 'complete') {
        await backend.moveToCompleted(job, result, false, token, false);
        return;
      }
      const stacktrace = JSON.stringify([...(job.stacktrace ?? []), JSON.stringify(result)]);
      await backend.moveToFailed(job, state, false, token, false, {
        failedReason: state,
        stacktrace,
      });
    },
  };
}

const WORKER_OPTIONS = {
  connection: {},
  autorun: false,
  lockDuration: 60_000,
  stalledInterval: 60_000,
  maxStalledCount: 1000,
};

const toResult = (state: FinalState, attempt: number): JobResult => ({
  state,
  attempt,
  error: null,
  retryable: false,
  startedAt: new Date().toISOString(),
  finishedAt: new Date().toISOString(),
  worker: 'by-hand/1',
  code: null,
  progress: null,
  artefacts: [],
  task: null,
});
