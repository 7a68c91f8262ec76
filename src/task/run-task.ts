/** One task from a spec to its result record. */
import { setMaxListeners } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { hastenAttach } from '../cgroup/hasten-attach.ts';
import { toStackshimError } from '../core/errors.ts';
import type { TaskId } from '../core/ids.ts';
import { invalidField } from '../spec/field-errors.ts';
import type { TaskInput, TaskOrigin } from '../spec/task-input.ts';
import { startOrphanReaper } from '../sys/orphan-reaper.ts';
import { abortedEarly, type SetUpTurn, takeSetUpTurn } from './admission/set-up-turns.ts';
import { buildResult, PhaseClock } from './build-result.ts';
import {
  armStops,
  type CallerStops,
  isAborted,
  signalsOf,
  toDeadline,
} from './ending/caller-stops.ts';
import type { Removal } from './ending/remove-task.ts';
import { notRemovedYet, removeOwn } from './ending/remove-task.ts';
import { TaskStopper } from './ending/stop-task.ts';
import { safeListener, type TaskListener } from './events.ts';
import { executeTask } from './execute-task.ts';
import { Holdings } from './holdings.ts';
import type { Installation } from './installation.ts';
import { planTask, type TaskPlan } from './plan-task.ts';
import type { HandedContainer } from './prepare-container.ts';
import { type Recorded, recordTask } from './record-task.ts';
import { claimOverdue } from './records/record.ts';
import type { TaskResult } from './result.ts';
import { holdErrors, isEmitter, requireStreams } from './streams/caller-streams.ts';
import type { StreamCapture } from './streams/capture.ts';
import type { OutputSink } from './streams/output-sink.ts';
import { OutputMeter } from './streams/task-output.ts';
import type { TaskTerminal } from './streams/terminal-streams.ts';

/** How a task is run: whom it reports to, and who may end it. */
export interface CallerOptions extends CallerStops {
  /** Called with each event; see {@link TaskEvent} for their order. */
  readonly onEvent?: TaskListener;
  /**
   * What the task reads, with `interactive`: text (as UTF-8) or bytes. It is neither ended nor destroyed; what the task was not handed is left in it. One that
   * was destroyed, has failed or was read to its end is refused.
   */
  readonly stdin?: Readable;
  /** Where output goes while the task runs. They are not ended. One that fails is given nothing more; the task goes on. */
  readonly stdout?: Writable | OutputSink;
  readonly stderr?: Writable | OutputSink;
  /** Keep output for the result (`captureBytes` bounds it). Default: true unless `stdout` or `stderr` is given. */
  readonly capture?: boolean;
  /** `job` for data from a queue, a network or a file of others: a field that such data may not set is refused. Default: `caller`. */
  readonly origin?: TaskOrigin;
  /** With `tty`: the terminal to follow. */
  readonly terminal?: TaskTerminal;
}

/** A task that has ended, and what is still to be done about it. */
export interface EndedTask {
  readonly result: TaskResult;
  /** Removes what the task left; with `remove: 'async'` this is still to be called. Never rejects. */
  readonly remove: () => Promise<Removal>;
  /** Instead of `remove`, for a process that ends now and leaves removal to another. */
  readonly abandon: () => void;
}

/** Not for users of the library. */
export interface OwnTaskOptions extends CallerOptions {
  /** True: the bundle template that the image's label names needs no permission of the policy. */
  readonly trustsImageBundle?: boolean;
  /** The container that another process has prepared for such a task, to run the command in. */
  readonly container?: TaskId;
}

/** Runs one task as `run` of the door does, for a caller that carries out an asynchronous removal itself. */
export async function runTaskAndLeave(
  installation: Installation,
  input: TaskInput,
  options: OwnTaskOptions = {},
): Promise<EndedTask> {
  const { stdin, stdout, stderr } = options;
  // From the first moment on: a stream may fail while the task is planned, or set up.
  const release = [stdin, stdout, stderr].flatMap((each) =>
    isEmitter(each) ? holdErrors(each) : [],
  );
  try {
    return await runFromPlan(installation, input, options);
  } finally {
    for (const letGo of release) letGo();
  }
}

async function runFromPlan(
  installation: Installation,
  input: TaskInput,
  options: OwnTaskOptions,
): Promise<EndedTask> {
  const clock = new PhaseClock();
  const { deadline } = options;
  if (deadline !== undefined && Number.isNaN(deadline)) {
    throw invalidField('deadline', 'not a time in milliseconds since 1970', deadline);
  }
  if (isAborted(options)) {
    throw abortedEarly();
  }
  // Fire and forget: speeds up the runtime's later cgroup move.
  void hastenAttach();
  const Capture = await loadCapture(options);
  const signals = signalsOf(options);
  // One signal may well stop a thousand tasks.
  for (const signal of signals) setMaxListeners(0, signal);
  const setUp = await takeSetUpTurn(signals);
  try {
    installation.system.becomeSubreaper();
    startOrphanReaper(installation.system);
    const opened = await openTask(installation, input, options);
    return await runRecorded({ installation, options, clock, setUp, Capture, ...opened });
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'run task');
  } finally {
    setUp.end();
  }
}

/** Loaded before the task exists, for a caller that wants the output in the result. */
async function loadCapture({ stdout, stderr, capture }: OwnTaskOptions) {
  const isWanted = capture ?? (stdout === undefined && stderr === undefined);
  return isWanted ? (await import('./streams/capture.ts')).StreamCapture : undefined;
}

/** The task is recorded by this process: its own, or a container that waited. */
async function openTask(
  installation: Installation,
  input: TaskInput,
  options: OwnTaskOptions,
): Promise<OpenedTask> {
  const { trustsImageBundle = false, origin = 'caller', container } = options;
  const plan = async () => {
    const planOptions = { trustsImageBundle, origin, id: container };
    const planned = await planTask(installation, input, planOptions);
    requireStreams(options, planned.command.spec);
    return planned;
  };
  if (container === undefined) return await recordTask(installation, plan);
  const { claimContainer } = await import('./container-hand-over.ts');
  return claimContainer(installation, await plan());
}

interface OpenedTask extends Recorded<TaskPlan> {
  /** Present when another process has prepared the container. */
  readonly handed?: HandedContainer;
}

interface RunContext extends OpenedTask {
  readonly installation: Installation;
  readonly options: CallerOptions;
  readonly clock: PhaseClock;
  readonly setUp: SetUpTurn;
  /** Undefined: nothing is captured. */
  readonly Capture: typeof StreamCapture | undefined;
}

/** From here on nothing rejects: whatever happens is in the result. */
async function runRecorded(context: RunContext): Promise<EndedTask> {
  const { installation, plan, record, options, clock, startedAt } = context;
  const { container } = plan;
  const { pinned, places } = container;
  const { spec, stopSignal } = plan.command;
  const { id } = places;
  const emit = safeListener(options.onEvent);
  const { stack, revision, image } = pinned;
  emit({ type: 'accepted', id, stack, revision, image: image.digest });
  const stopper = new TaskStopper({
    installation,
    graceMs: spec.limits.stopTimeoutMs,
    stopSignal,
    claimOverdue: () => claimOverdue(places),
    onStop: (cause) => emit({ type: 'stopping', id, cause }),
  });
  const output = toOutputMeter(context, { emit, onLimit: () => stopper.kill('output_limited') });
  const holdings = new Holdings();
  const deadlineAt = toDeadline(options);
  const disarm = armStops(options, stopper, { output, deadlineAt });
  const { stdin, terminal } = options;
  const { setUp } = context;
  const execution = await executeTask(plan, {
    ...{ installation, clock, setUp, holdings, record, stopper, output, emit, deadlineAt },
    stdin,
    terminal,
    handed: context.handed,
  });
  disarm();
  output.close();
  const ended = { execution, output: output.summary(), startedAt, finishedAt: new Date() };
  const finish = (removal: Removal): TaskResult => {
    const result = buildResult(container, { ...ended, phasesMs: clock.times(), removal });
    emit({ type: 'finished', id, result });
    return result;
  };
  const remove = async () => {
    clock.enter('remove');
    const removal = await removeOwn({ installation, container, keep: spec.keep, record, holdings });
    emit({ type: 'removed', id, ...removal });
    return removal;
  };
  // With asynchronous removal the record is not marked as kept: the remover would skip it.
  if (spec.remove === 'async' && !spec.keep) {
    const result = finish(notRemovedYet(places));
    return { result, remove, abandon: () => holdings.abandon() };
  }
  const removal = await remove();
  const result = finish(removal);
  return { result, remove: () => Promise.resolve(removal), abandon: () => undefined };
}

function toOutputMeter(
  { plan, options, Capture }: RunContext,
  { emit, onLimit }: { readonly emit: TaskListener; readonly onLimit: () => void },
): OutputMeter {
  const { stdout, stderr } = options;
  const { spec } = plan.command;
  const { id } = plan.container.places;
  return new OutputMeter({
    limitBytes: spec.limits.outputBytes,
    captures: Capture && {
      stdout: new Capture(spec.captureBytes),
      stderr: new Capture(spec.captureBytes),
    },
    sinks: {
      ...(stdout && { stdout }),
      ...(stderr && { stderr }),
    },
    onChunk: (stream, chunk) => emit({ type: 'output', id, stream, chunk }),
    onLimit,
  });
}
