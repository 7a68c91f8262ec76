/** A store, two workers and a client that adds jobs, and the faults that hit them. Each waits until it had its effect. */
import { readdirSync } from 'node:fs';
import { type Layout, tasksDir } from '../../../src/core/layout.ts';
import { openQueues } from '../../../src/worker/client/open-queues.ts';
import type { Queues } from '../../../src/worker/client/queues.ts';
import type { JobStatus } from '../../../src/worker/job/job-result.ts';
import type { TestInstallation } from '../../support/installation/installation.ts';
import { scaled } from '../../support/timing/time-scale.ts';
import { waitUntil } from '../../support/timing/wait-until.ts';
import type { FaultStore, LossyStore } from './fault-stores.ts';
import { LockJobs } from './lock-jobs.ts';
import { type Taken, WorkerPair } from './worker-pair.ts';

const LOCK_MS = scaled(5_000);
/** A job that lost its worker waits until its lock is over, then it runs long. */
const FRESH_MS = scaled(60_000);
/** A removal waits 20 s for processes that do not end at once. */
const IDLE_MS = scaled(60_000);

export interface SceneOptions {
  readonly installation: TestInstallation;
  /** Removed with the scene. */
  readonly store: FaultStore;
  /** The least number of jobs to add. */
  readonly count: number;
}

export class FaultScene {
  readonly jobs: LockJobs;
  readonly pair: WorkerPair;
  readonly #layout: Layout;
  readonly #store: FaultStore;
  readonly #queues: Queues;
  /** The client adds as fast as jobs are done, whatever fails. */
  readonly #adding: Promise<void>;

  static async open(options: SceneOptions): Promise<FaultScene> {
    const { store, installation } = options;
    const queues = await openQueues({ store: store.url, installation: installation.options });
    const scene = new FaultScene(options, queues);
    await scene.pair.startBoth();
    return scene;
  }

  private constructor({ installation, store, count }: SceneOptions, queues: Queues) {
    this.#layout = installation.layout;
    this.#store = store;
    this.#queues = queues;
    this.jobs = new LockJobs({ queues, count, longEvery: 30, longMs: LOCK_MS * 1.3, waiting: 40 });
    this.pair = new WorkerPair({
      ...installation.options,
      store: store.url,
      queues: [this.jobs.queue],
      concurrency: 4,
      lockMs: LOCK_MS,
      drainMs: scaled(30_000),
      fields: this.jobs.fields,
    });
    this.#adding = this.jobs.addMany();
    // Whoever waits for the end gets the error.
    this.#adding.catch(() => undefined);
  }

  /** Resolves when so many more jobs are done. */
  async more(count: number): Promise<void> {
    const before = this.jobs.done();
    for (let at = 1; at <= count; at += 1) await this.#soon(() => this.jobs.done() >= before + at);
  }

  /** Adds a job that takes longer than its lock; resolves once a worker has taken it, while each job survives two more faults. */
  async long(): Promise<Taken> {
    for (;;) {
      await this.#soon(() => this.#areFresh(), FRESH_MS);
      const name = await this.jobs.addLong();
      const taken = await this.#soon(() => this.pair.held().find(({ job }) => job === name));
      if (this.#areFresh()) return taken;
    }
  }

  /** Whether no job has lost its worker so often that it would be given up soon. */
  #areFresh(): boolean {
    const held = new Set(this.pair.held().map(({ job }) => job));
    return this.pair.worn().every((job) => this.jobs.hasSaid('end', job) && !held.has(job));
  }

  async killWorker(): Promise<void> {
    const { place } = await this.long();
    await this.pair.kill(place);
    await this.pair.start(place);
  }

  async killBoth(): Promise<void> {
    await this.long();
    await this.pair.kill(0, 1);
    await this.pair.startBoth();
  }

  /** The other worker gets a job of the frozen one, which goes on later. */
  async freezeWorker(): Promise<void> {
    const { job, place } = await this.long();
    const frozen = this.pair.at(place);
    frozen.child.kill('SIGSTOP');
    await this.#soon(() => this.pair.held().some((one) => one.job === job && one.place !== place));
    frozen.child.kill('SIGCONT');
  }

  /** Tasks are ended whether the store answers or not. */
  async freezeStore(): Promise<void> {
    const worker = this.pair.at((await this.long()).place);
    const lost = worker.count('lock_lost');
    await this.#store.freeze();
    await this.idle();
    this.#store.thaw();
    await worker.saw('lock_lost', lost + 1);
  }

  /** The store calls jobs waiting that workers run. */
  async loseTakes(store: LossyStore): Promise<void> {
    await this.#soon(() => this.#areFresh(), FRESH_MS);
    for (const { child } of this.pair.both) child.kill('SIGSTOP');
    const names = await Promise.all([1, 2, 3].map(() => this.jobs.addLong()));
    await store.lose(async () => {
      for (const { child } of this.pair.both) child.kill('SIGCONT');
      await this.#soon(() =>
        names.every((name) => this.pair.held().some(({ job }) => job === name)),
      );
      await this.#soon(() => names.every((name) => this.jobs.hasSaid('begin', name)));
    });
  }

  /** Resolves when no task is left on the host. */
  async idle(): Promise<void> {
    await this.#soon(() => readdirSync(tasksDir(this.#layout)).length === 0, IDLE_MS);
  }

  async #soon<T>(look: () => T | undefined | false | null, giveUpMs?: number): Promise<T> {
    try {
      return await waitUntil(look, giveUpMs);
    } catch (error) {
      const story = [
        `${this.jobs.done()} jobs done`,
        `tasks: ${this.#tasks().join(' ')}`,
        `held: ${this.pair.held().map(({ job, place }) => `${job} by ${place}`)}`,
        `worn: ${this.pair.worn()}`,
        this.pair.lastWords(),
      ];
      throw new Error(story.join('\n'), { cause: error });
    }
  }

  /** Each with the files of its record. */
  #tasks(): readonly string[] {
    const folder = tasksDir(this.#layout);
    return readdirSync(folder).map((id) => `${id} (${readdirSync(`${folder}/${id}`).join(' ')})`);
  }

  /** All jobs, each with its result. */
  async allOver(): Promise<readonly JobStatus[]> {
    this.jobs.enough();
    await this.#adding;
    return await this.jobs.allOver();
  }

  async close(): Promise<void> {
    await this.pair.killAll();
    await this.idle();
    this.jobs.enough();
    await this.#queues.close();
    await this.#adding.catch(() => undefined);
    await this.#store.remove();
    this.jobs.remove();
  }
}
