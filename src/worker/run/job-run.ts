/** One take of a job, from the moment this worker has its lock until it lets go of the job. */
import { hasCode, type StackshimError } from '../../core/errors.ts';
import { type TaskId, toTaskId } from '../../core/ids.ts';
import { openPromise, within } from '../../core/pause.ts';
import { unlessAborted } from '../../core/unless-aborted.ts';
import type { JobTerms } from '../../spec/policy.ts';
import { bootMs } from '../../sys/clocks.ts';
import type { JobData } from '../job/job-data.ts';
import type { JobResult } from '../job/job-result.ts';
import { jobName } from '../job/lane.ts';
import { parseRetryDelay, requirePackageTerms } from '../job/parse-job.ts';
import { toCount } from '../job/stored-values.ts';
import { isMissingHere } from '../supply/fetch-missing.ts';
import type { Needs, TakenJob } from '../taken-job.ts';
import { type AttemptCounts, countAttempts, parseHistory, toGivenUp } from './attempt-history.ts';
import { checkJob, toCancelError, toCancelled } from './check-job.ts';
import { chooseNextStep, type NextStep } from './choose-next-step.ts';
import {
  type Elsewhere,
  leaveMissing,
  leaveTooLarge,
  missingIn,
  NO_GUARD,
  noteOf,
} from './elsewhere.ts';
import { toEndedEvent } from './ended-event.ts';
import { failedBefore, type Outcome, toJobResult, toReason, withoutTask } from './job-outcome.ts';
import type { Lock } from './lock-keeper.ts';
import { type JobTaskEnd, runJobTask } from './run-job-task.ts';
import { RunStop } from './run-stop.ts';
import type { RunnerContext } from './runner-context.ts';
import {
  completeJob,
  type EndedAttempt,
  failJob,
  handBack,
  hasStored,
  runAgain,
  type Settled,
} from './settle-job.ts';
import { boundCode, type PlannedJob, toNeeds } from './to-task-request.ts';

/** The outcome of a take before the store is told. */
type Attempted =
  /** The run was stopped before the job came to an end by itself. */
  | { readonly kind: 'stopped' }
  | Elsewhere
  | ({
      readonly kind: 'ended';
      /** Undefined if the job was refused. */
      readonly planned: PlannedJob | undefined;
      readonly attempt: number;
    } & JobTaskEnd);

/** Long enough to replace a killed guard. */
const GUARDED_WITHIN_MS = 10_000;
/** The guard ends a task this much later than the worker would, as a fraction of the lock time. */
const GUARD_LATER = 0.05;

export class JobRun {
  readonly name: string;
  readonly lock: Lock;
  readonly taken: TakenJob;
  /** The number of this attempt. */
  readonly attempt: number;
  readonly stop = new RunStop();
  /** Resolves when nothing of the job's task runs on this machine any more, neither of this take nor of an earlier one. */
  readonly gone: Promise<unknown>;
  readonly #context: RunnerContext;
  readonly #history: readonly JobResult[];
  readonly #counts: AttemptCounts;
  readonly #countedAttempts: number;
  readonly #takenAt = performance.now();
  readonly #older: JobRun | undefined;
  readonly #own = openPromise();
  #task: TaskId | null = null;
  #isAlive = false;

  /** @param older The run of this worker's earlier take of the job, whose task may still run. */
  constructor(taken: TakenJob, context: RunnerContext, lock: Lock, older: JobRun | undefined) {
    this.taken = taken;
    this.#context = context;
    this.#older = older;
    this.lock = lock;
    this.name = jobName(taken);
    this.#history = parseHistory(taken.job.stacktrace);
    this.#counts = countAttempts(this.#history);
    this.attempt = this.#counts.attempts + 1;
    this.#countedAttempts = toCount(taken.job.attemptsMade);
    const own = this.#own.promise;
    this.gone = older === undefined ? own : Promise.all([own, older.gone]);
    const lose = () => this.stop.lose();
    lock.lost.addEventListener('abort', lose, { once: true });
    if (lock.lost.aborted) lose();
  }

  /** Until when the guard lets the task run, slightly longer than this worker does; undefined without a task. */
  get permit(): readonly [TaskId, number] | undefined {
    if (this.#task === null || !this.#isAlive) return undefined;
    return [this.#task, this.lock.untilMs + this.#context.lockMs * GUARD_LATER];
  }

  /** Resolves when the job is let go. Never rejects. */
  async run(): Promise<void> {
    const { emit, warn } = this.#context;
    emit({ type: 'job_taken', job: this.name, attempt: this.attempt });
    try {
      const attempted = await this.#attempt();
      this.#own.resolve();
      await this.#settle(attempted);
    } catch (error) {
      warn(error, `run job ${this.name}`);
    } finally {
      this.#own.resolve();
    }
  }

  /** Hands back a job whose take was answered too late, without checking it. */
  async refuse(): Promise<void> {
    this.#own.resolve();
    try {
      await this.#handBack('the reply was too old');
    } catch (error) {
      this.#context.warn(error, `hand back job ${this.name}`);
    }
  }

  async #attempt(): Promise<Attempted> {
    try {
      this.#older?.stop.lose();
      if (this.#older !== undefined) await unlessAborted(this.#older.gone, [this.stop.signal]);
      const guarded = within(
        this.#context.guard.ready.then(() => true),
        GUARDED_WITHIN_MS,
      );
      if ((await unlessAborted(guarded, [this.stop.signal])) !== true) return NO_GUARD;
      const policy = await this.#context.door.policy();
      const checked = checkJob(this.taken, this.#counts, policy.jobs);
      if (checked.kind === 'none') return this.#refused(checked);
      const planned = await this.#plan(checked.data, policy.jobs);
      const needs = toNeeds(planned, policy.defaults, this.#counts.lackedMemory);
      return (await this.#takeRoom(needs)) ?? (await this.#runTask(planned));
    } catch (error) {
      const { reason, mark = { at: '' } } = this.stop;
      if (reason === 'cancelled') return this.#refused(toCancelled(mark));
      if (reason !== null) return { kind: 'stopped' };
      return isMissingHere(error) ? this.#missing(error) : this.#refused(failedBefore(error));
    }
  }

  /** Binds the job's code, for the tenant of its lane. Throws ERR_STACKSHIM_SPEC_DENIED for a package that asks for more than a job may. */
  async #plan(data: JobData, terms: JobTerms): Promise<PlannedJob> {
    if (data.code === undefined) return { data, packaged: undefined };
    const { tenant } = this.taken.lane;
    const { supply } = this.#context;
    const packaged = await supply.findCode(data.code, tenant, this.stop.signal);
    requirePackageTerms(data, packaged.settings, terms);
    return { data, packaged };
  }

  /** Resolves to the end of this take if this machine can never have the room, else to undefined. */
  async #takeRoom(needs: Needs): Promise<Attempted | undefined> {
    const { room } = this.taken;
    const { memoryBytes, diskBytes, cpus } = room.needs;
    const isSame =
      memoryBytes === needs.memoryBytes && diskBytes === needs.diskBytes && cpus === needs.cpus;
    if (isSame) return undefined;
    try {
      await room.resize(needs, this.stop.signal);
      return undefined;
    } catch (error) {
      if (!hasCode(error, 'ERR_STACKSHIM_HOST_EXHAUSTED')) throw error;
      const elsewhere = leaveTooLarge(error, this.#startsInARow, this.#context.missingMs);
      return elsewhere ?? this.#refused(withoutTask(error));
    }
  }

  #missing(error: StackshimError): Attempted {
    const { missingMs } = this.#context;
    return leaveMissing(error, this.#startsInARow, missingMs) ?? this.#refused(withoutTask(error));
  }

  /** How often the job was taken since its last counted attempt, including this take. */
  get #startsInARow(): number {
    const { attemptsStarted } = this.taken.job;
    return Math.max(1, toCount(attemptsStarted) - this.#countedAttempts);
  }

  async #runTask(planned: PlannedJob): Promise<Attempted> {
    if (this.lock.isLostAt(bootMs())) return { kind: 'stopped' };
    const ended = await this.#runOnce(planned);
    const missing = missingIn(ended.outcome);
    if (missing === undefined) return this.#judge(planned, ended);
    const stack = planned.data.stack ?? planned.packaged?.settings.stack;
    const { supply } = this.#context;
    const isThere = stack !== undefined && (await supply.fetchStack(stack, this.stop.signal));
    if (!isThere) return this.#missing(missing);
    return this.#judge(planned, await this.#runOnce(planned));
  }

  async #runOnce(planned: PlannedJob): Promise<JobTaskEnd> {
    const { guard } = this.#context;
    const task = toTaskId(crypto.getRandomValues(new Uint8Array(13)));
    this.#task = task;
    this.#isAlive = true;
    if (this.permit !== undefined) guard.permit(new Map([this.permit]));
    try {
      return await runJobTask(this.#context, {
        ...{ place: this.taken, backend: this.taken.backend, planned, id: task, stop: this.stop },
        ...{ attempt: this.attempt, history: this.#history },
        lackedMemory: this.#counts.lackedMemory,
      });
    } finally {
      this.#isAlive = false;
      guard.permit(new Map([[task, null]]));
    }
  }

  #judge(planned: PlannedJob, ended: JobTaskEnd): Attempted {
    const { outcome } = ended;
    const { reason, mark } = this.stop;
    const wasStopped =
      outcome.kind === 'task'
        ? outcome.task.verdict === 'cancelled'
        : outcome.error.code === 'ERR_STACKSHIM_TASK_ABORTED';
    if (reason === 'lost' || (reason === 'drained' && wasStopped)) return { kind: 'stopped' };
    const isCancelled = mark !== undefined && wasStopped && outcome.kind === 'none';
    return {
      ...{ kind: 'ended', planned, attempt: this.attempt, ...ended },
      outcome: isCancelled ? toCancelled(mark) : outcome,
    };
  }

  #refused(outcome: Outcome): Attempted {
    return {
      ...{ kind: 'ended', outcome, planned: undefined, attempt: this.#counts.attempts },
      ...{ progress: null, artefacts: [], startedAt: null },
    };
  }

  async #settle(attempted: Attempted): Promise<void> {
    if (this.lock.isLostAt(bootMs())) {
      this.#emitLost();
      // The store may still hold this worker's lock: then another worker need not wait for it to expire. Otherwise this changes nothing.
      await handBack(this.taken, this.#context);
    } else if (attempted.kind === 'ended') {
      await this.#end(attempted);
    } else if (attempted.kind === 'elsewhere') {
      await this.#note(attempted);
      await this.#handBack(attempted.reason, attempted.delayMs);
    } else {
      await this.#handBack('the worker is draining');
    }
  }

  /** Tells clients why the job waits. A failure to store the note does not keep the job from going back. */
  async #note(elsewhere: Elsewhere): Promise<void> {
    const { job, backend, id } = this.taken;
    const { worker, warn } = this.#context;
    try {
      await backend.updateProgress(id, noteOf(elsewhere, job, { worker, nowMs: Date.now() }));
    } catch (error) {
      warn(error, `note why job ${this.name} waits`);
    }
  }

  async #handBack(reason: string, delayMs?: number): Promise<void> {
    const settled = await handBack(this.taken, this.#context, delayMs);
    if (settled === 'late') return this.#emitLost();
    const { name: job, attempt } = this;
    this.#context.emit({ type: 'job_handed_back', job, attempt, reason });
    this.#ring();
  }

  async #end(attempted: Extract<Attempted, { kind: 'ended' }>): Promise<void> {
    const { planned, attempt } = attempted;
    const result = this.#toResult(attempted);
    const step = this.#chooseStep(result, planned);
    const ended: EndedAttempt = {
      history: this.#history,
      countedAttempts: this.#countedAttempts,
      result: step.kind === 'give-up' ? toGivenUp(result) : result,
      reason: toReason(result),
    };
    const settled = await this.#tell(step, ended);
    if (settled === 'late' && !(await hasStored(this.taken, ended))) return this.#emitLost();
    const willRetry = step.kind === 'again';
    const durationMs = Math.round(performance.now() - this.#takenAt);
    this.#context.emit(toEndedEvent(result, { job: this.name, attempt, willRetry, durationMs }));
    if (willRetry) this.#ring();
  }

  #toResult(attempted: Extract<Attempted, { kind: 'ended' }>): JobResult {
    const { outcome, planned, attempt, progress, artefacts, startedAt } = attempted;
    const result = toJobResult(outcome, {
      ...{ attempt, progress, artefacts, startedAt, worker: this.#context.worker },
      code: planned === undefined ? null : boundCode(planned),
      finishedAt: new Date(),
    });
    const { mark } = this.stop;
    const isByMark = result.state === 'cancelled' && result.error === null && mark !== undefined;
    return isByMark ? { ...result, error: toCancelError(mark) } : result;
  }

  #chooseStep(result: JobResult, planned: PlannedJob | undefined): NextStep {
    if (planned === undefined && !result.retryable) return { kind: 'end' };
    const { state, retryable, task } = result;
    const { retries, retryDelay = 0, backoff = 'fixed', memoryRetry } = planned?.data ?? {};
    return chooseNextStep(
      {
        ...{ state, retryable, lackedMemory: task?.verdict === 'oom_killed' },
        isCancelled: this.stop.mark !== undefined,
      },
      { ...this.#counts, countedAttempts: this.#countedAttempts },
      {
        retries: retries ?? planned?.packaged?.settings.retries ?? 0,
        delayMs: parseRetryDelay(retryDelay),
        backoff,
        hasMemoryRetry: memoryRetry !== undefined,
      },
    );
  }

  async #tell(step: NextStep, ended: EndedAttempt): Promise<Settled> {
    const { taken } = this;
    const keep = this.#context;
    if (step.kind === 'again') return await runAgain(taken, ended, step, keep);
    if (ended.result.state !== 'complete') return await failJob(taken, ended, keep);
    try {
      return await completeJob(taken, ended, keep);
    } catch (error) {
      if (keep.giveUp.aborted) throw error;
      keep.warn(error, `complete job ${this.name}`);
      return await failJob(taken, ended, keep);
    }
  }

  /** Reports the lost lock. Another worker has the job or will have it, so this worker must not end it. */
  #emitLost(): void {
    const { attempt, name: job } = this;
    this.#context.emit({ type: 'lock_lost', job, attempt, task: this.#task });
  }

  #ring(): void {
    const { store, warn } = this.#context;
    store.ring(this.taken.lane).catch((error: unknown) => warn(error, 'ring for lane'));
  }
}
