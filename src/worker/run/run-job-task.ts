/** Runs the task of a job, with its log, its progress and its artefacts. */
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { IQueueBackend } from 'bullmq';
import { StackshimError, toStackshimError } from '../../core/errors.ts';
import type { TaskEvent } from '../../task/events.ts';
import type { TaskResult } from '../../task/result.ts';
import type { Artefact, JobResult } from '../job/job-result.ts';
import { artefactsOf, logFile } from '../job/kept-files.ts';
import { jobName } from '../job/lane.ts';
import { toStorableText } from '../job/storable.ts';
import { listArtefacts, makeArtefactFolders } from './artefacts.ts';
import { fileLog, JobLog, storeLog } from './job-log.ts';
import { failedBefore, type Outcome } from './job-outcome.ts';
import { openLiveReport } from './live-report.ts';
import type { RunStop } from './run-stop.ts';
import type { RunnerContext } from './runner-context.ts';
import {
  outputFolders,
  outputsOf,
  type PlannedJob,
  type RequestContext,
  toTaskRequest,
} from './to-task-request.ts';

export interface JobTask extends Omit<RequestContext, 'artefactFolder' | 'fields'> {
  readonly backend: IQueueBackend;
  readonly planned: PlannedJob;
  /** The earlier attempts. */
  readonly history: readonly JobResult[];
  readonly stop: RunStop;
}

export interface JobTaskEnd {
  readonly outcome: Outcome;
  readonly progress: string | null;
  readonly artefacts: readonly Artefact[];
  /** When the command started; null if it never ran. */
  readonly startedAt: Date | null;
}

/** Never rejects. When it resolves, nothing of the task runs any more. */
export const runJobTask = (context: RunnerContext, task: JobTask): Promise<JobTaskEnd> =>
  new JobTaskRun(context, task).run();

/** The least room for an attempt's log, however much earlier attempts wrote. */
const LEAST_LOG_BYTES = 16_384;

class JobTaskRun {
  readonly #context: RunnerContext;
  readonly #task: JobTask;
  readonly #log: JobLog;
  readonly #live: ReturnType<typeof openLiveReport>;
  #progress: string | null = null;
  #startedAt: Date | null = null;

  constructor(context: RunnerContext, task: JobTask) {
    this.#context = context;
    this.#task = task;
    this.#log = this.#openLog();
    this.#live = openLiveReport(
      (state) => task.backend.updateProgress(task.place.id, { ...state }),
      (error) => context.warn(error, 'report progress'),
    );
  }

  async run(): Promise<JobTaskEnd> {
    const outcome = await this.#runTask();
    const { stop } = this.#task;
    if (stop.reason === 'lost') this.#log.abandon();
    await this.#live.end();
    await this.#log.end();
    const ended = await this.#keepArtefacts(outcome);
    const last = outcome.kind === 'task' ? outcome.task.progress : null;
    return { ...ended, progress: last ?? this.#progress, startedAt: this.#startedAt };
  }

  async #runTask(): Promise<Outcome> {
    const { door, fields } = this.#context;
    const { stop, place } = this.#task;
    try {
      const request = toTaskRequest(this.#task.planned, {
        ...this.#task,
        artefactFolder: this.#artefactFolder(),
        fields: fields({ job: jobName(place), tenant: place.lane.tenant }),
      });
      await makeArtefactFolders(outputFolders(request));
      const task = await door.run(request.input, {
        ...request.options,
        signal: stop.signal,
        killSignal: stop.killSignal,
        onEvent: (event) => this.#onEvent(event),
      });
      return { kind: 'task', task };
    } catch (error) {
      return failedBefore(error);
    }
  }

  #onEvent(event: TaskEvent): void {
    if (event.type === 'output') {
      this.#log.add(event.stream === 'stdout' ? 'out' : 'err', event.chunk);
    } else if (event.type === 'started') {
      this.#startedAt = new Date();
      this.#report();
    } else if (event.type === 'progress') {
      this.#progress = toStorableText(event.text);
      this.#report();
    }
  }

  #report(): void {
    if (this.#task.stop.reason === 'lost') return;
    const { attempt, id } = this.#task;
    this.#live.set({
      state: 'running',
      attempt,
      worker: this.#context.worker,
      task: id,
      startedAt: this.#startedAt?.toISOString() ?? null,
      progress: this.#progress,
    });
  }

  #openLog(): JobLog {
    const { logFolder, logBytes, warn } = this.#context;
    const { place, backend, attempt, history } = this.#task;
    const written = history.reduce((sum, result) => sum + writtenBy(result, logBytes), 0);
    return new JobLog({
      write:
        logFolder === undefined ? storeLog(backend, place.id) : fileLog(logFile(logFolder, place)),
      attempt,
      mostBytes: Math.max(LEAST_LOG_BYTES, logBytes - written),
      onFailure: (error) => warn(error, 'write log of job'),
    });
  }

  /** The attempt's temporary folder, renamed when the attempt counts: a late run of the job may write at the same time. */
  #artefactFolder(): string | undefined {
    const { artefactFolder } = this.#context;
    const { planned, place, id } = this.#task;
    if (outputsOf(planned).length === 0) return undefined;
    if (artefactFolder === undefined) {
      const message = 'outputs: this worker keeps no artefacts';
      const hint = 'start the worker with a folder for artefacts, or leave out outputs';
      throw new StackshimError('ERR_STACKSHIM_JOB_REFUSED', message, { hint });
    }
    return join(artefactsOf(artefactFolder, place), `.${id}`);
  }

  async #keepArtefacts(outcome: Outcome): Promise<Pick<JobTaskEnd, 'outcome' | 'artefacts'>> {
    const { artefactFolder, warn } = this.#context;
    const { place, id, attempt, stop, planned } = this.#task;
    const none = { outcome, artefacts: [] };
    if (outputsOf(planned).length === 0 || artefactFolder === undefined) return none;
    const job = artefactsOf(artefactFolder, place);
    const [own, kept] = [join(job, `.${id}`), join(job, String(attempt))];
    try {
      if (outcome.kind === 'none' || stop.reason === 'lost' || stop.reason === 'drained') {
        await rm(own, { recursive: true, force: true });
        return none;
      }
      // A worker may have left this folder when it died before it could store the result.
      await rm(kept, { recursive: true, force: true });
      await rename(own, kept);
      const artefacts = await listArtefacts(job, attempt);
      return { outcome: { kind: 'task', task: withFolder(outcome.task, own, kept) }, artefacts };
    } catch (error) {
      warn(error, 'keep artefacts of job');
      return { ...none, outcome: withFault(outcome, error) };
    }
  }
}

/** Makes the attempt a platform fault: the platform lost the artefacts, so the job runs again. */
function withFault(outcome: Outcome, error: unknown): Outcome {
  if (outcome.kind === 'none' || outcome.task.error !== null) return outcome;
  const fault = toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'keep artefacts of job');
  return { kind: 'task', task: { ...outcome.task, error: fault.toJSON(), retryable: true } };
}

const writtenBy = ({ task }: JobResult, most: number): number => {
  const { stdoutBytes = 0, stderrBytes = 0 } = task?.output ?? {};
  const bytes = stdoutBytes + stderrBytes;
  return Number.isFinite(bytes) ? Math.min(most, Math.max(0, bytes)) : 0;
};

/** Makes the result name the final folder of the artefacts. */
function withFolder(task: TaskResult, own: string, kept: string): TaskResult {
  if (task.outputs === undefined) return task;
  const outputs = task.outputs.map((output) => ({
    ...output,
    destination: output.destination.replace(own, kept),
  }));
  return { ...task, outputs };
}
