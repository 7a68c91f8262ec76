/** Starts a planned command in a running task, and follows the command to its end. */

import { type ErrorJson, StackshimError, toStackshimError } from '../../core/errors.ts';
import { toHostUser } from '../../core/host-ids.ts';
import { toProcessJson } from '../../oci/build-process.ts';
import {
  type BegunExec,
  beginExec,
  type ExecutedCommand,
  type ExecutedEnd,
} from '../../runtime/exec-in-container.ts';
import { signalName } from '../../sys/processes.ts';
import type { WindowSize } from '../../sys/system.ts';
import type { Installation } from '../installation.ts';
import { toTaskConflict } from '../records/task-errors.ts';
import type { TaskOutput } from '../result.ts';
import { StreamCapture } from '../streams/capture.ts';
import { OutputMeter } from '../streams/task-output.ts';
import { openPipeStreams, type TaskStreams } from '../streams/task-streams.ts';
import { type ExecFolder, thisCaller, toToldCommand } from './exec-folder.ts';
import type { ExecOptions, ExecRequest } from './exec-options.ts';
import { EXECUTE, type ExecTarget, findProblem, requireReady } from './find-exec-target.ts';
import { planExec } from './plan-exec.ts';
import { ExecStopper } from './stop-exec.ts';

/** A command, and the task in which it is to be started. */
export interface AskedExec extends ExecTarget {
  readonly request: ExecRequest;
  /** The first size of the command's terminal. */
  readonly size: WindowSize | undefined;
}

export interface ExecContext {
  readonly folder: ExecFolder;
  readonly options: ExecOptions;
  readonly onProcess: ((pid: number | undefined) => void) | undefined;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
}

export interface EndedExec {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly error: ErrorJson | null;
  readonly output: TaskOutput;
}

/** How long the start of a command may take: the task can hold it up. */
const STARTS_WITHIN_MS = 30_000;

/**
 * Resolves when the command has ended and its output was passed on. Rejects like `execInContainer`, with ERR_STACKSHIM_TASK_CONFLICT if the task
 * has ended or was paused meanwhile, with _TASK_ABORTED if the caller cancelled the command before it ran, and with _SYSTEM if a killed command
 * does not end.
 */
export async function runExec(
  installation: Installation,
  exec: AskedExec,
  context: ExecContext,
): Promise<EndedExec> {
  const { options } = context;
  const stopper = new ExecStopper(options);
  const output = openOutput(exec.request, options);
  let streams: TaskStreams | undefined;
  try {
    streams = await openStreams(installation, exec, context);
    const exit = await follow(installation, exec, { ...context, stopper, output, streams });
    if (stopper.signal.aborted) output.hurry();
    const error = await output.ended().then(
      () => null,
      (thrown: unknown) => toStackshimError(thrown, 'ERR_STACKSHIM_SYSTEM', 'pass on output'),
    );
    return { ...exit, error: error?.toJSON() ?? null, output: output.summary() };
  } catch (error) {
    throw explain(error, installation, { exec, isStopped: stopper.signal.aborted });
  } finally {
    stopper.end();
    output.close();
    streams?.close();
  }
}

interface FollowContext extends ExecContext {
  readonly stopper: ExecStopper;
  readonly output: OutputMeter;
  readonly streams: TaskStreams;
}

/** Starts the command and waits for its end, which it tells. The command has ended, or was killed, when this settles. */
async function follow(
  installation: Installation,
  exec: AskedExec,
  context: FollowContext,
): Promise<Pick<EndedExec, 'exitCode' | 'signal'>> {
  const { folder, options, onProcess, stopper, output, streams } = context;
  const begun = begin(installation, exec, context);
  const command = await start(installation, exec, { ...context, begun });
  let end: ExecutedEnd | undefined;
  try {
    streams.handOver();
    streams.connect(output, options.stdin);
    output.release();
    stopper.attach(command);
    if (command.isOnHost) onProcess?.(command.pid);
    end = await Promise.race([command.ended, stopper.stuck]);
    onProcess?.(undefined);
  } finally {
    stopper.end();
    output.finish();
    command.close();
  }
  if (end === undefined) throw toLost(exec);
  return await conclude(exec, { ...end, output, folder, stopper });
}

/** The runtime loads while the rest is checked. It does nothing before it is given the process. */
const begin = (
  { system }: Installation,
  { places, runtime }: AskedExec,
  { folder, stopper, streams }: FollowContext,
): BegunExec =>
  beginExec(system, runtime, {
    container: { id: places.id, stateRoot: places.stateRoot },
    files: folder.files,
    logFile: folder.logFile,
    stdio: streams.childEnds,
    timeoutMs: STARTS_WITHIN_MS,
    signal: stopper.signal,
  });

/** Checks whether the command may be started, tells of it and starts it. */
async function start(
  installation: Installation,
  exec: AskedExec,
  { begun, folder, streams, startedAt }: FollowContext & { readonly begun: BegunExec },
): Promise<ExecutedCommand> {
  const { request, size } = exec;
  try {
    await requireReady(installation, exec);
    const { process, ids } = await planExec(installation, exec, { request, size });
    const { uid, gid } = process.user;
    folder.begin({
      command: toToldCommand(request.command),
      user: `${uid}:${gid}`,
      by: thisCaller(),
      startedAt,
      exit: null,
      error: null,
    });
    streams.give(toHostUser(process.user, ids));
    return await begun.finish(toProcessJson(process));
  } catch (error) {
    await begun.cancel();
    throw error;
  }
}

interface EndFacts extends Pick<FollowContext, 'output' | 'folder' | 'stopper'>, ExecutedEnd {}

/** Tells the end of a command. Throws if the command never began. */
async function conclude(
  { runtime }: AskedExec,
  { exit, executed, output, folder, stopper }: EndFacts,
): Promise<Pick<EndedExec, 'exitCode' | 'signal'>> {
  const { exitCode, signal } = exit;
  if (!executed && exitCode !== 0 && !stopper.signal.aborted) {
    const { toStartFailure } = await import('../../runtime/runtime-failure.ts');
    throw toStartFailure(runtime, { exitCode, stderr: output.stderrHead });
  }
  const told = { exitCode, signal: signal === null ? null : signalName(signal) };
  folder.tell({ exit: { ...told, at: new Date().toISOString() } });
  return told;
}

function openOutput(
  { captureBytes }: ExecRequest,
  { stdout, stderr, capture }: ExecOptions,
): OutputMeter {
  const isCaptured = capture ?? (stdout === undefined && stderr === undefined);
  const nothing = () => undefined;
  return new OutputMeter({
    limitBytes: Number.POSITIVE_INFINITY,
    captures: isCaptured
      ? { stdout: new StreamCapture(captureBytes), stderr: new StreamCapture(captureBytes) }
      : undefined,
    sinks: { ...(stdout && { stdout }), ...(stderr && { stderr }) },
    log: undefined,
    onChunk: nothing,
    onLimit: nothing,
  });
}

/** The command's own pipes or terminal: no descriptor of the host reaches the task. */
async function openStreams(
  { system }: Installation,
  { request }: AskedExec,
  { folder, options }: ExecContext,
): Promise<TaskStreams> {
  const { consoleSocket } = folder.files;
  if (request.tty && consoleSocket !== undefined) {
    const { openTerminalStreams } = await import('../streams/terminal-streams.ts');
    const { terminal } = options;
    return await openTerminalStreams(system, { socket: consoleSocket, terminal });
  }
  const feeding = options.stdin === undefined ? undefined : await import('../../sys/feed-pipe.ts');
  return openPipeStreams(system, feeding?.feedPipe);
}

const toLost = ({ places }: AskedExec) =>
  new StackshimError(
    'ERR_STACKSHIM_SYSTEM',
    `execute in task ${places.id}: the end of the command cannot be learnt`,
    {
      hint: 'it does not end although it was killed, or its guard was killed; it ends with the task',
    },
  );

/** The caller's own cancellation, or the state of the task, explains a failure better than what the runtime says. */
function explain(
  error: unknown,
  installation: Installation,
  { exec, isStopped }: { readonly exec: AskedExec; readonly isStopped: boolean },
): unknown {
  if (!(error instanceof StackshimError) || error.code !== 'ERR_STACKSHIM_RUNTIME_FAILED')
    return error;
  const { id } = exec.places;
  if (isStopped) {
    return new StackshimError(
      'ERR_STACKSHIM_TASK_ABORTED',
      `execute in task ${id}: cancelled by the caller before the command ran`,
      { cause: error, details: { id } },
    );
  }
  const problem = findProblem(installation, exec);
  return problem === undefined ? error : toTaskConflict(EXECUTE, id, { ...problem, cause: error });
}
