/** Two worker processes of one installation, and what happens to them. */
import { fileURLToPath } from 'node:url';
import type { WorkerEvent } from '../../../src/worker/index.ts';
import { type ProcessOptions, WorkerProcess } from '../../support/queues/worker-process.ts';
import { waitUntil } from '../../support/timing/wait-until.ts';

const SHIFT_CLOCK = fileURLToPath(new URL('../../fixtures/shift-clock.mjs', import.meta.url));
/** The clock of one worker is ahead, that of the other one is behind. */
const SHIFTS_MS = [60_000, -60_000] as const;

/** A job that loses three workers ends as `error`. */
const MOST_TAKES = 3;

type Place = 0 | 1;

export interface Taken {
  readonly job: string;
  readonly place: Place;
}

export class WorkerPair {
  readonly #options: ProcessOptions;
  readonly #workers: WorkerProcess[] = [];
  /** All that were ever started. */
  readonly #all: WorkerProcess[] = [];

  constructor(options: ProcessOptions) {
    this.#options = options;
  }

  async startBoth(): Promise<void> {
    await Promise.all([this.start(0), this.start(1)]);
  }

  /** A new process in this place; the one before goes on, if it lives. */
  async start(place: Place): Promise<void> {
    const env = { STACKSHIM_TEST_SHIFT_MS: String(SHIFTS_MS[place]) };
    const worker = new WorkerProcess(this.#options, { imports: [SHIFT_CLOCK], env });
    this.#all.push(worker);
    await worker.saw('started');
    this.#workers[place] = worker;
  }

  at(place: Place): WorkerProcess {
    const worker = this.#workers[place];
    if (worker === undefined) throw new Error(`no worker ${place} was started`);
    return worker;
  }

  get both(): readonly WorkerProcess[] {
    return [this.at(0), this.at(1)];
  }

  async kill(...places: readonly Place[]): Promise<void> {
    await Promise.all(places.map((place) => this.at(place).end('SIGKILL')));
  }

  /** The jobs that the workers have, by their events. */
  held(): readonly Taken[] {
    return ([0, 1] as const).flatMap((place) =>
      heldBy(this.at(place)).map((job) => ({ job, place })),
    );
  }

  /** Jobs that have been taken so often that they may not lose two more workers; no event tells of one of their takes if its worker was killed or lost the reply. */
  worn(): readonly string[] {
    const takes = new Map<string, number>();
    for (const event of this.#all.flatMap(({ events }) => events)) {
      if (event.type === 'job_taken') takes.set(event.job, (takes.get(event.job) ?? 0) + 1);
    }
    return [...takes].flatMap(([job, times]) => (times > MOST_TAKES - 2 ? [job] : []));
  }

  /** The wrong clocks become right at the next call. */
  shiftClocks(): void {
    for (const { child } of this.both) child.kill('SIGUSR2');
  }

  /** Resolves once both workers have warned so. */
  async warned(code: string): Promise<void> {
    const hasWarned = ({ events }: WorkerProcess) =>
      events.some((event) => event.type === 'warning' && event.code === code);
    await waitUntil(() => this.both.every(hasWarned));
  }

  /** How often each job came to its end, by all events. */
  ends(): ReadonlyMap<string, number> {
    const ends = new Map<string, number>();
    for (const event of this.#all.flatMap(({ events }) => events)) {
      if (event.type !== 'job_ended' || event.willRetry) continue;
      ends.set(event.job, (ends.get(event.job) ?? 0) + 1);
    }
    return ends;
  }

  /** A new worker takes this place, then the old one drains; it ends by itself. */
  async upgrade(place: Place): Promise<void> {
    const old = this.at(place);
    await this.start(place);
    await old.end('SIGTERM');
    await old.saw('closed');
  }

  /** How many such events all workers have told of. */
  count(type: WorkerEvent['type']): number {
    return this.#all.reduce((sum, worker) => sum + worker.count(type), 0);
  }

  /** What all workers said last. */
  lastWords(): string {
    return this.#all.map((worker) => worker.lastWords()).join('\n');
  }

  /** Ends all workers as an operator does. */
  async drain(): Promise<void> {
    await Promise.all(this.both.map((worker) => worker.end('SIGTERM')));
  }

  async killAll(): Promise<void> {
    for (const worker of this.#all) await worker.end('SIGKILL');
  }
}

function heldBy({ events }: WorkerProcess): readonly string[] {
  const jobs = new Set<string>();
  for (const event of events) {
    if (event.type === 'job_taken') jobs.add(event.job);
    else if ('job' in event) jobs.delete(event.job);
  }
  return [...jobs];
}
