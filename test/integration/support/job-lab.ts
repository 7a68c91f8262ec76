/** Jobs of one queue on a real store, taken one by one and run by a runner of this process. */
import { randomBytes } from 'node:crypto';
import { Job, type JobJson, JobScheduler } from 'bullmq';
import { toTaskId } from '../../../src/core/ids.ts';
import { openDoor } from '../../../src/door/open-stackshim.ts';
import { monotonicMs } from '../../../src/sys/clocks.ts';
import type { JobResult, JobStatus } from '../../../src/worker/job/job-result.ts';
import { type Lane, laneName } from '../../../src/worker/job/lane.ts';
import { readStatus } from '../../../src/worker/job/read-status.ts';
import type { QueueStore } from '../../../src/worker/queue-store/queue-store.ts';
import { JobRunner } from '../../../src/worker/run/job-runner.ts';
import type { RunnerContext } from '../../../src/worker/run/runner-context.ts';
import { createSupply } from '../../../src/worker/supply/fetch-missing.ts';
import type { Needs, Room, TakenJob } from '../../../src/worker/taken-job.ts';
import type { WorkerEvent } from '../../../src/worker/worker-events.ts';
import type { RunOptions } from '../../support/installation/test-layout.ts';

export interface JobLabOptions {
  readonly installation: RunOptions;
  readonly store: QueueStore;
  readonly lockMs: number;
  readonly lane?: Partial<Lane>;
  readonly context?: Partial<RunnerContext>;
}

export interface StoredJob extends JobJson {
  /** The attempts that are stored with it, oldest first. */
  readonly attempts: readonly JobResult[];
  readonly result: JobResult | undefined;
}

export const NO_NEEDS: Needs = { memoryBytes: 0, diskBytes: 0, cpus: 0 };

export class JobLab {
  readonly lane: Lane;
  readonly events: WorkerEvent[] = [];
  readonly warnings: unknown[] = [];
  readonly runner: JobRunner;
  readonly giveUp = new AbortController();
  readonly #store: QueueStore;
  /** What the runner asked of the machine. */
  readonly asked: Needs[] = [];
  refuseRoom: ((needs: Needs) => Promise<void>) | undefined;

  constructor({ installation, store, lockMs, lane, context }: JobLabOptions) {
    const queue = `q${randomBytes(6).toString('hex')}`;
    this.lane = { queue, tenant: undefined, code: undefined, ...lane };
    this.#store = store;
    const door = openDoor(installation);
    this.runner = new JobRunner({
      door,
      supply: createSupply(door, undefined),
      store,
      guard: { ready: Promise.resolve(), permit: () => undefined },
      lockMs,
      keepResultsMs: 3_600_000,
      missingMs: 300_000,
      logFolder: undefined,
      logBytes: 1_048_576,
      artefactFolder: undefined,
      fields: () => ({}),
      worker: 'test/1',
      emit: (event) => this.events.push(event),
      warn: (error) => this.warnings.push(error),
      giveUp: this.giveUp.signal,
      ...context,
    });
  }

  get backend() {
    return this.#store.backend(this.lane);
  }

  /** Resolves to the job's id. */
  async add(data: unknown): Promise<string> {
    return await this.addText(JSON.stringify(data));
  }

  /** The same for data that is not made by a client. */
  async addText(data: string): Promise<string> {
    const id = toTaskId(randomBytes(13));
    const json = {
      id,
      name: 'v1',
      data,
      opts: {},
      timestamp: Date.now(),
    };
    await this.backend.addJob({ progress: 0, attemptsMade: 0, ...json } as unknown as JobJson, id);
    return id;
  }

  /** Undefined if no job waits. */
  async take(): Promise<TakenJob | undefined> {
    const { backend, lane } = this;
    const token = randomBytes(16).toString('hex');
    const sentAtMs = monotonicMs();
    const [json, id] = await backend.moveToActive(token);
    if (!json) return undefined;
    const queue = new JobScheduler(laneName(lane), { connection: {} }, () => backend);
    queue.on('error', () => undefined);
    const job = Job.fromJSON(queue, json, id);
    return { lane, id, token, job, backend, sentAtMs, room: this.#toRoom() };
  }

  #toRoom(): Room {
    const { asked } = this;
    let needs = NO_NEEDS;
    const refuse = this.refuseRoom;
    return {
      get needs() {
        return needs;
      },
      async resize(next) {
        asked.push(next);
        await refuse?.(next);
        needs = next;
      },
    };
  }

  /** Takes a job and runs it. */
  async runNext(): Promise<void> {
    const taken = await this.take();
    if (taken === undefined) throw new Error('no job waits');
    await this.runner.handle(taken);
  }

  /** Adds a job, and runs it until it has ended. */
  async runToEnd(data: unknown): Promise<StoredJob> {
    return await this.endOf(await this.add(data));
  }

  /** Runs a job until it has ended. */
  async endOf(id: string): Promise<StoredJob> {
    while (!(await this.hasEnded(id))) await this.runNext();
    return await this.read(id);
  }

  async hasEnded(id: string): Promise<boolean> {
    return ['completed', 'failed'].includes(await this.backend.getState(id));
  }

  async read(id: string): Promise<StoredJob> {
    const json = await this.backend.getJobData(id);
    if (json === undefined) throw new Error(`no job ${id}`);
    const stacktrace: unknown = JSON.parse(String(json.stacktrace ?? '[]'));
    const attempts = (stacktrace as readonly string[]).map((text): JobResult => JSON.parse(text));
    const returned: JobResult | null = JSON.parse(String(json.returnvalue ?? 'null'));
    return { ...json, id, attempts, result: returned ?? attempts.at(-1) };
  }

  /** What a client is told of a job that waits. */
  async waitOf(id: string): Promise<JobStatus['waiting']> {
    const json = await this.read(id);
    const list = await this.backend.getState(id);
    return readStatus({ lane: this.lane, id }, { json, list }).waiting;
  }

  async logOf(id: string): Promise<readonly Record<string, unknown>[]> {
    const { logs } = await this.backend.getJobLogs(id, 0, -1, true);
    return logs.map((row) => JSON.parse(row));
  }

  close(): void {
    this.giveUp.abort();
    this.runner.close();
  }
}
