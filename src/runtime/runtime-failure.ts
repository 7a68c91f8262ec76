/** Turns the failure of a runtime into the error that a task's result carries. */
import { StackshimError } from '../core/errors.ts';
import { classifyFailure, memoryHint } from './classify-failure.ts';
import type { Runtime } from './runtime.ts';
import { lastLogMessage, readLogTail } from './runtime-log.ts';

export interface RuntimeFailureOptions {
  /** `create container t1`. */
  readonly operation: string;
  readonly logFile: string;
  readonly exitCode: number | null;
}

/** The error for a runtime that exited with a failure, by what it logged. */
export function toRuntimeFailure(runtime: Runtime, options: RuntimeFailureOptions): StackshimError {
  const log = readLogTail(options.logFile);
  const message = lastLogMessage(log);
  if (message === undefined) {
    const text = `${options.operation}: ${runtime.kind} exited with ${options.exitCode ?? 'a signal'} and logged nothing`;
    return new StackshimError('ERR_STACKSHIM_RUNTIME_FAILED', text, {
      details: { runtime: runtime.path, exitCode: options.exitCode, log },
    });
  }
  const { code, hint } = classifyFailure(message);
  return new StackshimError(code, `${options.operation}: ${message}`, {
    hint,
    details: { runtime: runtime.path, exitCode: options.exitCode, log },
  });
}

export interface StartFailureOptions {
  readonly exitCode: number | null;
  /** What the task's stderr holds, or its beginning: all of it is the runtime's, as the command never ran. Unknown with a terminal. */
  readonly stderr?: string;
  /** Processes of the task that the kernel killed for lack of memory. */
  readonly oomKills?: number | null;
}

const MESSAGE_CHARACTERS = 2000;

/**
 * The error for a container that was started and whose init ended without ever having become the command (`executed` of
 * `readProcess` is false, and nobody killed it). runc and crun write the reason to the task's stderr, not to their log.
 * The file was there while the container was created, so without a text it is one that cannot be executed.
 */
export function toStartFailure(runtime: Runtime, options: StartFailureOptions): StackshimError {
  const text = (options.stderr ?? '').slice(0, MESSAGE_CHARACTERS).trim();
  const details = { runtime: runtime.path, exitCode: options.exitCode, log: text };
  if (options.exitCode === null) return toKilledInit(options.oomKills ?? 0, details);
  const message = lastLogMessage(text) ?? text;
  if (message === '') {
    return new StackshimError(
      'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE',
      'start command: it could not be executed',
      { details },
    );
  }
  const { code, hint } = classifyFailure(message);
  return new StackshimError(code, `start command: ${message}`, {
    hint,
    details,
  });
}

function toKilledInit(oomKills: number, details: Readonly<Record<string, unknown>>) {
  if (oomKills === 0) {
    const text = 'start command: the init was killed before it could execute it';
    return new StackshimError('ERR_STACKSHIM_RUNTIME_FAILED', text, { details });
  }
  return new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    'start command: the memory limit is too low for the runtime',
    { details, ...memoryHint },
  );
}
