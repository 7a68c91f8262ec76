/** Checks and plans a command in a running task while the runtime loads, and follows the command to its end. */
import { constants } from 'node:os';
import { StackshimError, toStackshimError } from '../../core/errors.ts';
import { toHostUser } from '../../core/host-ids.ts';
import { toProcessJson } from '../../oci/build-process.ts';
import type { BegunExec, ExecutedCommand, ExecutedEnd } from '../../runtime/exec-in-container.ts';
import { signalName } from '../../sys/processes.ts';
import { signalOf } from '../ending/caller-stops.ts';
import type { Installation } from '../installation.ts';
import { StreamCapture } from '../streams/capture.ts';
import { OutputMeter } from '../streams/task-output.ts';
import type { TaskStreams } from '../streams/task-streams.ts';
import { thisCaller, toToldCommand } from './exec-folder.ts';
import { type ExecOptions, type ExecRequest, parseExec } from './exec-options.ts';
import { type ExecTarget, requireReady } from './find-exec-target.ts';
import { planExec } from './plan-exec.ts';
import type { EndedExec, ExecContext } from './run-exec.ts';
import type { ExecStopper } from './stop-exec.ts';

const { SIGTERM, SIGKILL } = constants.signals;

interface BegunContext extends ExecContext {
  /** The runtime, which waits for the configuration of the process. */
  readonly begun: BegunExec;
  readonly stopper: ExecStopper;
  readonly streams: TaskStreams;
}

/** Starts the command. Resolves when the command has ended and its output was passed on. Rejects like `runExec`. */
export async function followExec(
  installation: Installation,
  target: ExecTarget,
  context: BegunContext,
): Promise<EndedExec> {
  const { command, options, onProcess, stopper, streams } = context;
  const request = parseExec(command, options);
  const output = openOutput(request, options);
  try {
    const started = await start(installation, target, request, context);
    let end: ExecutedEnd | undefined;
    // Once this settles, the command has ended or was killed.
    try {
      streams.handOver();
      streams.connect(output, options.stdin);
      output.release();
      stopper.attach({
        stop: (reason) => started.signal(signalOf(reason) ?? SIGTERM),
        kill: () => started.signal(SIGKILL),
      });
      if (started.isOnHost) onProcess?.(started.pid);
      end = await Promise.race([started.ended, stopper.stuck]);
      onProcess?.(undefined);
    } finally {
      stopper.end();
      output.finish();
      started.close();
    }
    if (end === undefined) {
      const message = `execute in task ${target.places.id}: the end of the command cannot be learnt`;
      throw new StackshimError('ERR_STACKSHIM_SYSTEM', message, {
        hint: 'it does not end although it was killed, or its guard was killed; it ends with the task',
      });
    }
    const exit = await conclude(target, end, output, context);
    if (stopper.signal.aborted) output.hurry();
    const error = await output.ended().then(
      () => null,
      (thrown: unknown) => toStackshimError(thrown, 'ERR_STACKSHIM_SYSTEM', 'pass on output'),
    );
    return { ...exit, error: error?.toJSON() ?? null, output: output.summary() };
  } finally {
    output.close();
  }
}

/** Checks whether the command may start, writes `exec.json`, and starts the command. */
async function start(
  installation: Installation,
  target: ExecTarget,
  request: ExecRequest,
  { begun, options, folder, streams, startedAt }: BegunContext,
): Promise<ExecutedCommand> {
  await requireReady(installation, target);
  const size = request.tty
    ? (await import('../streams/terminal-streams.ts')).firstSizeOf(options.terminal)
    : undefined;
  const { process, ids } = await planExec(installation, target, { request, size });
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
}

/** Stores the end of the command in `exec.json`. Rejects if the command never began. */
async function conclude(
  { runtime }: ExecTarget,
  { exit, executed }: ExecutedEnd,
  output: OutputMeter,
  { folder, stopper }: BegunContext,
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
    sinks: { stdout, stderr },
    log: undefined,
    onChunk: nothing,
    onLimit: nothing,
  });
}
