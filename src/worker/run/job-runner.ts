/** Runs the jobs that this worker takes: keeps their locks, ends cancelled jobs, and ends all of them when the worker drains. */
import { bootMs, monotonicMs } from '../../sys/clocks.ts';
import { type JobPlace, jobName } from '../job/lane.ts';
import type { TakenJob } from '../taken-job.ts';
import { findStoredMark } from './check-job.ts';
import { JobRun } from './job-run.ts';
import { type Lock, LockKeeper } from './lock-keeper.ts';
import type { RunnerContext } from './runner-context.ts';

/** A reply older than this fraction of the lock time is too old to start its job. */
const OLD_REPLY = 0.5;
/** How often to look for cancelled jobs among the running ones: messages about them may be lost. */
const MARK_LOOK_MS = 10_000;

export class JobRunner {
  readonly #context: RunnerContext;
  readonly #locks: LockKeeper;
  readonly #runs = new Map<Lock, JobRun>();
  /** The last run of each job. */
  readonly #latest = new Map<string, JobRun>();
  /** Pending looks, and whether another must follow. One look a run: there may be any number of messages, and the job's entry may be large. */
  readonly #looking = new Map<JobRun, 'once' | 'again'>();
  #looks: NodeJS.Timeout | undefined;
  #isDraining = false;

  constructor(context: RunnerContext) {
    this.#context = context;
    this.#locks = new LockKeeper({
      lockMs: context.lockMs,
      now: bootMs,
      onRenewed: (locks) => this.#permit(locks),
      onFailure: (error) => context.warn(error, 'renew locks'),
    });
  }

  get running(): number {
    return this.#runs.size;
  }

  get lastRenewalAt(): Date | null {
    return this.#locks.lastRenewalAt;
  }

  /** Resolves when this worker has let go of the job. Never rejects. */
  async handle(taken: TakenJob): Promise<void> {
    const now = bootMs();
    const sentAtMs = now - (monotonicMs() - taken.sentAtMs);
    const lock = this.#locks.hold(taken, sentAtMs);
    const name = jobName(taken);
    const run = new JobRun(taken, this.#context, lock, this.#latest.get(name));
    this.#runs.set(lock, run);
    this.#latest.set(name, run);
    this.#looks ??= setInterval(() => this.lookForMarks(), MARK_LOOK_MS);
    try {
      if (now - sentAtMs > this.#context.lockMs * OLD_REPLY) await run.refuse();
      else {
        if (this.#isDraining) run.stop.drain();
        await run.run();
      }
    } finally {
      this.#locks.release(lock);
      this.#runs.delete(lock);
      if (this.#latest.get(name) === run) this.#latest.delete(name);
      if (this.#runs.size === 0) this.#stopLooking();
    }
  }

  /** Checks whether the job was cancelled, if it runs here. */
  onCancel(place: JobPlace): void {
    const run = this.#latest.get(jobName(place));
    if (run !== undefined) this.#lookSoon(run);
  }

  /** Checks whether any running job was cancelled. */
  lookForMarks(): void {
    for (const run of this.#runs.values()) this.#lookSoon(run);
  }

  /** Sends all tasks their stop signal. Jobs whose tasks did not end by themselves are handed back. */
  drain(): void {
    this.#isDraining = true;
    for (const run of this.#runs.values()) run.stop.drain();
  }

  /** Kills the tasks that are being stopped. */
  hasten(): void {
    for (const run of this.#runs.values()) run.stop.hasten();
  }

  close(): void {
    this.#locks.close();
    this.#stopLooking();
  }

  #permit(locks: readonly Lock[]): void {
    const permits = locks.map((lock) => this.#runs.get(lock)?.permit);
    this.#context.guard.permit(new Map(permits.filter((permit) => permit !== undefined)));
  }

  /** Makes one look at a time. A mark set before the call is seen. */
  #lookSoon(run: JobRun): void {
    if (this.#looking.has(run)) this.#looking.set(run, 'again');
    else void this.#lookOnAndOn(run);
  }

  async #lookOnAndOn(run: JobRun): Promise<void> {
    const { backend, id } = run.taken;
    do {
      this.#looking.set(run, 'once');
      try {
        const stored = await backend.getJobData(id);
        const mark = stored === undefined ? undefined : findStoredMark(stored.data);
        if (mark !== undefined) run.stop.cancel(mark);
      } catch (error) {
        this.#context.warn(error, `look at job ${run.name}`);
      }
    } while (this.#looking.get(run) === 'again' && this.#runs.get(run.lock) === run);
    this.#looking.delete(run);
  }

  #stopLooking(): void {
    clearInterval(this.#looks);
    this.#looks = undefined;
  }
}
