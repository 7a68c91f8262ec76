/** Begins a further command: starts the runtime first. The rest (`follow-exec.ts`) is loaded, checked and planned while the runtime loads. */
import { type ErrorJson, StackshimError } from '../../core/errors.ts';
import { beginExec } from '../../runtime/exec-in-container.ts';
import type { Installation } from '../installation.ts';
import type { TaskExit } from '../records/record.ts';
import { toTaskConflict } from '../records/task-errors.ts';
import type { TaskOutput } from '../result.ts';
import { openPipeStreams, type TaskStreams } from '../streams/task-streams.ts';
import type { ExecFolder } from './exec-folder.ts';
import type { ExecOptions } from './exec-options.ts';
import { EXECUTE, type ExecTarget, findProblem } from './find-exec-target.ts';
import { openExecStopper } from './stop-exec.ts';

export interface ExecContext {
  /** Not checked yet, and neither are the options. */
  readonly command: readonly string[];
  readonly options: ExecOptions;
  readonly folder: ExecFolder;
  readonly onProcess: ((pid: number | undefined) => void) | undefined;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
}

export interface EndedExec extends Pick<TaskExit, 'exitCode' | 'signal'> {
  /** Why input or output could not be passed on completely; null if it was. */
  readonly error: ErrorJson | null;
  readonly output: TaskOutput;
}

/** Time limit for the start of a command, which the task can hold up. */
const STARTS_WITHIN_MS = 30_000;

/**
 * Executes the command. Resolves when it has ended and its output was passed on. Rejects with ERR_STACKSHIM_SPEC_INVALID, like `requireReady`,
 * `planExec` and `beginExec`, with ERR_STACKSHIM_TASK_CONFLICT if the task has ended or was paused meanwhile, _TASK_ABORTED if the caller
 * cancelled before the command ran, and _SYSTEM if a killed command does not end.
 */
export async function runExec(
  installation: Installation,
  target: ExecTarget,
  context: ExecContext,
): Promise<EndedExec> {
  const { folder, options } = context;
  const { places, runtime } = target;
  const stopper = openExecStopper(options);
  let streams: TaskStreams | undefined;
  try {
    streams = await openStreams(installation, context);
    const begun = beginExec(installation.system, runtime, {
      container: { id: places.id, stateRoot: places.stateRoot },
      files: folder.files,
      logFile: folder.logFile,
      stdio: streams.childEnds,
      timeoutMs: STARTS_WITHIN_MS,
      signal: stopper.signal,
    });
    try {
      const { followExec } = await import('./follow-exec.ts');
      return await followExec(installation, target, { ...context, begun, stopper, streams });
    } catch (error) {
      await begun.cancel();
      throw error;
    }
  } catch (error) {
    throw explain(error, installation, { target, isStopped: stopper.signal.aborted });
  } finally {
    stopper.end();
    streams?.close();
  }
}

/** Opens pipes or a terminal for the command: no descriptor of the host reaches the task. */
async function openStreams(
  { system }: Installation,
  { folder, options }: ExecContext,
): Promise<TaskStreams> {
  const { consoleSocket } = folder.files;
  if (consoleSocket !== undefined) {
    const { openTerminalStreams } = await import('../streams/terminal-streams.ts');
    return await openTerminalStreams(system, consoleSocket, options.terminal);
  }
  const feeding = options.stdin === undefined ? undefined : await import('../../sys/feed-pipe.ts');
  return openPipeStreams(system, feeding?.feedPipe);
}

/** Replaces a failure of the runtime by the caller's cancellation or the state of the task, which explain it better than the runtime's message. */
function explain(
  error: unknown,
  installation: Installation,
  { target, isStopped }: { readonly target: ExecTarget; readonly isStopped: boolean },
): unknown {
  if (!(error instanceof StackshimError) || error.code !== 'ERR_STACKSHIM_RUNTIME_FAILED')
    return error;
  const { id } = target.places;
  if (isStopped) {
    const message = `execute in task ${id}: cancelled by the caller before the command ran`;
    const details = { id };
    return new StackshimError('ERR_STACKSHIM_TASK_ABORTED', message, { cause: error, details });
  }
  const problem = findProblem(installation, target);
  return problem === undefined ? error : toTaskConflict(EXECUTE, id, { ...problem, cause: error });
}
