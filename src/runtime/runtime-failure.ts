/** Turns a runtime's failure into the error of a task's result, from what the runtime wrote to its JSON log or to standard error. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { errnoCodeOf, StackshimError } from '../core/errors.ts';
import { classifyFailure, memoryHint } from './classify-failure.ts';
import type { Runtime } from './runtime.ts';

export interface RuntimeFailureOptions {
  /** `create container t1`. */
  readonly operation: string;
  readonly logFile: string;
  readonly exitCode: number | null;
}

/** The error for a runtime that exited with a failure, according to its log. */
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
    ...(hint === undefined ? {} : { hint }),
    details: { runtime: runtime.path, exitCode: options.exitCode, log },
  });
}

export interface StartFailureOptions {
  readonly exitCode: number | null;
  /** The task's stderr, or its beginning. All of it comes from the runtime, because the command never ran. Unknown with a terminal. */
  readonly stderr?: string;
  /** Processes of the task that the kernel killed for lack of memory. */
  readonly oomKills?: number | null;
}

const MESSAGE_CHARACTERS = 2000;

/**
 * The error for a container that was started and whose init ended without becoming the command (`executed` of `readProcess` is false, and
 * nobody killed the init). runc and crun write the reason to the task's stderr, not to their log. The file existed while the container was
 * created, so without a text the error is that it cannot be executed.
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
    ...(hint === undefined ? {} : { hint }),
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

/** Room for the few lines that matter; a log may be much longer. */
const TAIL_BYTES = 8192;

/** The end of a runtime's log, at most 8 KiB; empty if there is no log. */
export function readLogTail(logFile: string): string {
  let fd: number;
  try {
    fd = openSync(logFile, 'r');
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return '';
    throw error;
  }
  try {
    const { size } = fstatSync(fd);
    const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
    const length = readSync(fd, tail, 0, tail.length, Math.max(0, size - TAIL_BYTES));
    return tail.toString('utf8', 0, length);
  } finally {
    closeSync(fd);
  }
}

/** The text of the last error in a runtime's JSON log lines; without an error, of the last line of any level. */
export function lastLogMessage(tail: string): string | undefined {
  let last: string | undefined;
  let lastError: string | undefined;
  for (const line of tail.split('\n')) {
    const entry = parseEntry(line);
    if (entry === undefined) continue;
    last = entry.message;
    if (entry.isError) lastError = entry.message;
  }
  return lastError ?? last;
}

function parseEntry(
  line: string,
): { readonly message: string; readonly isError: boolean } | undefined {
  // The first line may be cut, and a crashing runtime writes plain text.
  if (!line.startsWith('{') || !line.endsWith('}')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (typeof value !== 'object' || value === null || !('msg' in value)) return undefined;
  if (typeof value.msg !== 'string') return undefined;
  const level = 'level' in value ? value.level : undefined;
  return { message: value.msg, isError: level === 'error' || level === 'fatal' };
}
