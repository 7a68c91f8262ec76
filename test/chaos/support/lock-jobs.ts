/** Jobs whose tasks tell in a folder of the host when they ran, and whether two of them ran at once: each holds its job's lock file. */
import { execFileSync } from 'node:child_process';
import { chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { hasCode } from '../../../src/core/errors.ts';
import type { Queues } from '../../../src/worker/client/queues.ts';
import type { FieldsOfWorker } from '../../../src/worker/index.ts';
import type { JobStatus } from '../../../src/worker/job/job-result.ts';
import { waitUntil } from '../../support/timing/wait-until.ts';

const SOURCE = fileURLToPath(new URL('../../fixtures/hold-lock.c', import.meta.url));
/** The user who owns what tasks write. */
const OWNER = 1000;
const QUEUE = 'faults';
const ADDERS = 4;

type Word = 'begin' | 'end' | 'overlap';

export interface LockJobsOptions {
  readonly queues: Queues;
  /** The least number of jobs. */
  readonly count: number;
  /** Every so many jobs one runs for this time. */
  readonly longEvery: number;
  readonly longMs: number;
  /** The most of them that are queued or run. */
  readonly waiting: number;
}

export class LockJobs {
  readonly queue = QUEUE;
  readonly #options: LockJobsOptions;
  readonly #folder = mkdtempSync('/var/tmp/stackshim-lock-jobs-');
  /** Names of the jobs that the store has acknowledged, by number. */
  readonly #names = new Map<number, string>();
  /** Numbers of jobs that are long besides. */
  readonly #long = new Set<number>();
  #next = 0;
  #isEnough = false;

  constructor(options: LockJobsOptions) {
    this.#options = options;
    writeFileSync(this.#log, '');
    execFileSync('gcc', ['-static', '-Wall', '-Werror', '-o', `${this.#folder}/hold-lock`, SOURCE]);
    for (const path of [this.#folder, this.#log]) chownSync(path, OWNER, OWNER);
  }

  get #log(): string {
    return `${this.#folder}/log`;
  }

  /** What workers say about the tasks. */
  get fields(): FieldsOfWorker {
    return { mounts: [`type=bind,source=${this.#folder},target=/jobs`] };
  }

  /** Adds jobs as fast as they are done, until `enough` was called and there are as many as wanted. */
  async addMany(): Promise<void> {
    const { count, waiting } = this.#options;
    const add = async () => {
      while (!this.#isEnough || this.#next < count) {
        const number = this.#next++;
        await waitUntil(() => number - this.done() < waiting);
        await this.#add(number);
      }
    };
    await Promise.all(Array.from({ length: ADDERS }, add));
  }

  /** No further jobs are needed than those that were asked for. */
  enough(): void {
    this.#isEnough = true;
  }

  /** Adds one more job that takes long; resolves to its name. */
  async addLong(): Promise<string> {
    const number = this.#next++;
    this.#long.add(number);
    return await this.#add(number);
  }

  /** Resolves when the store has acknowledged the job. One that it has already stays as it is. */
  async #add(number: number): Promise<string> {
    const { queues } = this.#options;
    const ms = this.#isLong(number) ? this.#options.longMs : 0;
    const command = ['/jobs/hold-lock', '/jobs', number, ms].map(String);
    const { job } = await queues.enqueue(
      QUEUE,
      { stack: 'busybox', command, memory: '32m', cpus: '0.1' },
      // Lanes take turns, so one with a single job gets its turn at once.
      {
        key: `job-${number}`,
        tenant: this.#isLong(number) ? `long-${number}` : `short-${number % 3}`,
      },
    );
    this.#names.set(number, job);
    return job;
  }

  /** Whether a task of this job has written this word. */
  hasSaid(word: Word, job: string): boolean {
    return this.numbersOf(word).some((number) => this.#names.get(Number(number)) === job);
  }

  /** How many jobs have a run that came to its end. */
  done(): number {
    return new Set(this.numbersOf('end')).size;
  }

  /** Resolves when so many more tasks have begun. */
  async moreBegun(count: number): Promise<void> {
    const before = this.numbersOf('begin').length;
    await waitUntil(() => this.numbersOf('begin').length >= before + count);
  }

  /** Of the jobs whose tasks have written this word, once for each time. */
  numbersOf(word: Word): readonly string[] {
    const lines = readFileSync(this.#log, 'utf8').split('\n');
    return lines.flatMap((line) =>
      line.endsWith(` ${word}`) ? [line.split(' ', 1)[0] ?? ''] : [],
    );
  }

  /** Resolves to the final states of all jobs. A job that the store has lost is added again. */
  async allOver(): Promise<readonly JobStatus[]> {
    const all: JobStatus[] = [];
    for (let number = 0; number < this.#next; number += 1) {
      all.push(await waitUntil(() => this.#over(number)));
    }
    return all;
  }

  async #over(number: number): Promise<JobStatus | undefined> {
    try {
      const status = await this.#options.queues.status(this.#names.get(number) ?? '');
      return status.result === null ? undefined : status;
    } catch (error) {
      if (!hasCode(error, 'ERR_STACKSHIM_JOB_NOT_FOUND')) throw error;
      await this.#add(number);
      return undefined;
    }
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #isLong(number: number): boolean {
    return this.#long.has(number) || number % this.#options.longEvery === 0;
  }
}
