/** Runs one task, from its spec to its result record. */
import { setMaxListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { hastenAttach } from '../cgroup/hasten-attach.ts';
import { toStackshimError } from '../core/errors.ts';
import { invalidField } from '../spec/field-errors.ts';
import type { TaskInput } from '../spec/task-input.ts';
import { startOrphanReaper } from '../sys/orphan-reaper.ts';
import { abortedEarly, type SetUpTurn, takeSetUpTurn } from './admission/set-up-turns.ts';
import { buildResult } from './build-result.ts';
import type { BuildRunOptions, RunBuild } from './build-step/run-build-step.ts';
import type { BuildStepOutcome, TakeBuiltContext } from './build-step/take-built-code.ts';
import type { CallerOptions, EndedTask, OwnTaskOptions } from './caller-options.ts';
import { armStops, isAborted, signalsOf, toDeadline } from './ending/caller-stops.ts';
import { joinRemovals, notRemovedYet, type Removal, removeOwn } from './ending/remove-task.ts';
import { TaskStopper } from './ending/stop-task.ts';
import { safeListener, type TaskListener } from './events.ts';
import type { TaskExec } from './exec/told-exec.ts';
import { executeTask } from './execute-task.ts';
import { Holdings } from './holdings.ts';
import type { Installation } from './installation.ts';
import type { OutputsTaken, TaskOutputs } from './outputs/task-outputs.ts';
import { PhaseClock } from './phase-clock.ts';
import { planTask, type TaskPlan } from './plan-task.ts';
import type { HandedContainer } from './prepare-container.ts';
import type { ReceivedInputs } from './receive-inputs.ts';
import { type Recorded, recordTask } from './record-task.ts';
import { claimOverdue, dropRecord } from './records/record.ts';
import type { TaskPlaces } from './records/task-places.ts';
import type { OpenReport } from './reports/open-report.ts';
import type { TaskResult } from './result.ts';
import { holdErrors, isEmitter, requireStreams } from './streams/caller-streams.ts';
import type { StreamCapture } from './streams/capture.ts';
import { OutputMeter } from './streams/task-output.ts';

/** Runs one task like the library's `run`, for a caller that does the asynchronous removal itself. */
export async function runTaskAndLeave(
  installation: Installation,
  input: TaskInput,
  options: OwnTaskOptions = {},
): Promise<EndedTask> {
  const { stdin, stdout, stderr, code, payload, config, outputStream } = options;
  // Listen from the start: a stream may fail during planning or set-up.
  const release = [stdin, stdout, stderr, code, payload, config, outputStream].flatMap((each) =>
    isEmitter(each) ? holdErrors(each) : [],
  );
  try {
    if ((code ?? payload ?? config) === undefined) {
      return await runFromPlan(installation, input, options);
    }
    const { receiveInputs } = await import('./receive-inputs.ts');
    return await receiveInputs(installation, options, (more) =>
      runFromPlan(installation, input, { ...options, ...more }),
    );
  } finally {
    for (const letGo of release) letGo();
  }
}

async function runFromPlan(
  installation: Installation,
  input: TaskInput,
  options: OwnTaskOptions & { readonly received?: ReceivedInputs },
): Promise<EndedTask> {
  const clock = new PhaseClock(options.onPhase);
  const { deadline } = options;
  if (deadline !== undefined && Number.isNaN(deadline)) {
    throw invalidField('deadline', 'not a time in milliseconds since 1970', deadline);
  }
  if (isAborted(options)) throw abortedEarly();
  // Fire and forget: speeds up the runtime's later cgroup move.
  void hastenAttach();
  const signals = signalsOf(options);
  // One signal may stop a thousand tasks.
  for (const signal of signals) setMaxListeners(0, signal);
  const setUp = await takeSetUpTurn(signals);
  try {
    installation.system.becomeSubreaper();
    startOrphanReaper(installation.system);
    const Capture = await loadCapture(options);
    const opened = await openTask(installation, input, options);
    const report = await openReportOf(installation, opened, input.id, options.keepsReport);
    return await runRecorded({ installation, options, clock, setUp, Capture, report, ...opened });
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'run task');
  } finally {
    setUp.end();
  }
}

/** Loads the capture code before the task exists, if the caller wants the output in the result. */
async function loadCapture({ stdout, stderr, capture }: OwnTaskOptions) {
  const isWanted = capture ?? (stdout === undefined && stderr === undefined);
  return isWanted ? (await import('./streams/capture.ts')).StreamCapture : undefined;
}

/** Records a new task, or claims a prepared container. */
async function openTask(
  installation: Installation,
  input: TaskInput,
  options: OwnTaskOptions & { readonly received?: ReceivedInputs },
): Promise<OpenedTask> {
  const { trustsImageBundle = false, origin = 'caller', fields, container, received } = options;
  let outputs: TaskOutputs | undefined;
  const plan = async () => {
    const planOptions = { trustsImageBundle, origin, fields, id: container, received };
    const planned = await planTask(installation, input, planOptions);
    requireStreams(options, planned.command.spec);
    await outputs?.close();
    outputs = await openOutputs(installation, planned, options);
    return planned;
  };
  try {
    if (container === undefined) return { ...(await recordTask(installation, plan)), outputs };
    const { claimContainer } = await import('./container-hand-over.ts');
    return { ...claimContainer(installation, await plan()), outputs };
  } catch (error) {
    await outputs?.close();
    throw error;
  }
}

/** Opens the task's outputs. Undefined for a task without outputs, which loads no code for them. */
async function openOutputs(
  installation: Installation,
  plan: TaskPlan,
  options: OwnTaskOptions,
): Promise<TaskOutputs | undefined> {
  if (plan.command.spec.outputs.length === 0) return undefined;
  const { openTaskOutputs } = await import('./outputs/task-outputs.ts');
  const { outputStream } = options;
  const signals = signalsOf(options);
  return await openTaskOutputs(installation, plan, {
    ...(outputStream === undefined ? {} : { outputStream }),
    signals,
  });
}

interface OpenedTask extends Recorded<TaskPlan> {
  /** Present if another process prepared the container. */
  readonly handed?: HandedContainer;
  readonly outputs?: TaskOutputs | undefined;
}

/**
 * Opens the task's report, if wanted. If that fails, or another task with the given id
 * left a report, throws and removes the record; a prepared container is left to a reap.
 */
async function openReportOf(
  installation: Installation,
  { plan, record, handed }: OpenedTask,
  id: string | undefined,
  keepsReport = false,
): Promise<OpenReport | undefined> {
  const { places } = plan.container;
  const asksForReport = plan.command.spec.log || keepsReport;
  // A random id is new, so no report can have it.
  if (!asksForReport && (id === undefined || !existsSync(places.reportDir))) return undefined;
  try {
    const { openReport, toReportConflict } = await import('./reports/open-report.ts');
    if (!asksForReport) throw toReportConflict(places.id);
    return await openReport(installation, plan, record.value);
  } catch (error) {
    if (handed === undefined) dropRecord(places);
    else record.tryNote({ disowned: true });
    throw error;
  }
}

interface PlannedOptions
  extends CallerOptions,
    Partial<Pick<BuildRunOptions, 'codeLayers' | 'onMounted'>> {}

interface RunContext extends OpenedTask {
  readonly installation: Installation;
  readonly options: PlannedOptions;
  readonly clock: PhaseClock;
  readonly setUp: SetUpTurn;
  /** Present if output and result are kept after the task's end. */
  readonly report?: OpenReport | undefined;
  /** Undefined if no output is captured. */
  readonly Capture?: typeof StreamCapture | undefined;
}

/** Runs a recorded task. Never rejects: from here on, every failure is part of the result. */
async function runRecorded(context: RunContext): Promise<EndedTask> {
  const { installation, plan, record, report, options, clock, startedAt } = context;
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
  const output = toOutputMeter(context, emit, () => stopper.kill('output_limited'));
  const holdings = new Holdings();
  const deadlineAt = toDeadline(options);
  const disarm = armStops(options, stopper, output, deadlineAt);
  const { stdin, terminal, codeLayers, onMounted } = options;
  const { setUp, handed, outputs } = context;
  const step = await takeBuild(context, { stopper, holdings, emit });
  const execution =
    step.execution ??
    (await executeTask(plan, {
      ...{ installation, clock, setUp, holdings, record, stopper, output, emit, deadlineAt },
      ...{ stdin, terminal, handed, outputs, onMounted },
      code: step.code ?? codeLayers,
    }));
  disarm();
  output.close();
  const execs = existsSync(places.execsDir) ? await learnExecs(places) : [];
  for (const exec of execs) emit({ type: 'exec', id, exec });
  const hasRun = execution.exit !== null;
  const taken = await takeOutputs(context, { holdings, hasRun });
  const finishedAt = new Date();
  const told = { output: output.summary(), progress: holdings.get('progress')?.text ?? null };
  const ended = { execution, taken, ...told, execs, startedAt, finishedAt };
  const finish = async (removal: Removal): Promise<TaskResult> => {
    const phasesMs = clock.times();
    const result = buildResult(plan, { ...ended, phasesMs, removal, build: step.report });
    if (report !== undefined) await report.end(result);
    emit({ type: 'finished', id, result });
    return result;
  };
  const remove = async () => {
    clock.enter('remove');
    const own = await removeOwn({ installation, record, holdings }, container, spec.keep);
    const removal = joinRemovals(own, step.removal);
    emit({ type: 'removed', id, ...removal });
    return removal;
  };
  // With asynchronous removal, do not mark the record as kept: the remover would skip it.
  if (spec.remove === 'async' && !spec.keep) {
    const result = await finish(notRemovedYet(places));
    const removeLater = async () => {
      const removal = await remove();
      if (report !== undefined) await report.end({ ...result, ...removal });
      return removal;
    };
    return { result, remove: removeLater, close: () => holdings.close() };
  }
  const removal = await remove();
  const result = await finish(removal);
  return { result, remove: () => Promise.resolve(removal), close: () => undefined };
}

/** Reads which commands other processes executed in the task. Call it before the removal. */
async function learnExecs(places: TaskPlaces): Promise<readonly TaskExec[]> {
  const { readExecs } = await import('./exec/read-execs.ts');
  return readExecs(places);
}

/** Takes the task's outputs, however it ended, once no process can change them. Never rejects. */
async function takeOutputs(
  { installation, outputs, plan }: RunContext,
  { holdings, hasRun }: { readonly holdings: Holdings; readonly hasRun: boolean },
): Promise<OutputsTaken | undefined> {
  if (outputs === undefined) return undefined;
  const { spec, places } = plan.container;
  const { killAll } = await import('./ending/kill-processes.ts');
  // The removal reports processes that do not end; the walk is safe beside them.
  await killAll(installation, places.cgroupsPath).catch(() => undefined);
  const slot = holdings.get('slot');
  const idBase = spec.userns === 'host' ? 0 : (slot?.ids.base ?? 0);
  return await outputs.take({ idBase, hasRun });
}

/** Gets the outcome of the task's build step; empty for a task without one. */
async function takeBuild(
  context: RunContext,
  parts: Pick<TakeBuiltContext, 'stopper' | 'holdings' | 'emit'>,
): Promise<BuildStepOutcome> {
  const { installation, plan, clock, setUp } = context;
  if (plan.command.spec.build === undefined) return {};
  clock.enter('build');
  const { takeBuiltCode } = await import('./build-step/take-built-code.ts');
  const runBuild: RunBuild = (buildPlan, options) => runPlanned(installation, buildPlan, options);
  const step = await takeBuiltCode({ installation, plan, setUp, runBuild, ...parts });
  // Protect the build from collection, for a task that is kept or whose owner dies.
  if (step.report !== undefined) context.record.tryNote({ build: step.report.key });
  return step;
}

/** Runs a planned task. Rejects if it cannot be recorded. */
export async function runPlanned(
  installation: Installation,
  plan: TaskPlan,
  options: PlannedOptions,
): Promise<EndedTask> {
  const setUp = await takeSetUpTurn(signalsOf(options));
  try {
    const opened = await recordTask(installation, () => Promise.resolve(plan));
    const clock = new PhaseClock();
    return await runRecorded({ installation, options, clock, setUp, ...opened });
  } finally {
    setUp.end();
  }
}

function toOutputMeter(
  { plan, options, Capture, report }: RunContext,
  emit: TaskListener,
  onLimit: () => void,
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
    sinks: { stdout, stderr },
    log: report?.log,
    onChunk: (stream, chunk) => emit({ type: 'output', id, stream, chunk }),
    onLimit,
  });
}
