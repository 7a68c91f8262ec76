/** Turns a runtime's failure into the error of a task's result, from the runtime's JSON log or standard error. */
import { fstatSync, openSync, readSync } from 'node:fs';
import type { ErrorCode } from '../core/error-codes.ts';
import { StackshimError, unlessMissing } from '../core/errors.ts';
import { parseJson } from '../core/read-fields.ts';
import { withFd } from '../sys/paths.ts';
import type { Runtime } from './runtime.ts';

export interface RuntimeFailureOptions {
  /** The beginning of the message: `create container t1`. */
  readonly operation: string;
  readonly logFile: string;
  readonly exitCode: number | null;
}

/** The error for a runtime that failed, from its log. */
export function toRuntimeFailure(
  runtime: Runtime,
  { operation, logFile, exitCode }: RuntimeFailureOptions,
): StackshimError {
  const log = readLogTail(logFile);
  const details = { runtime: runtime.path, exitCode, log };
  const message = lastLogMessage(log);
  if (message !== undefined) return toClassified(operation, message, details);
  const text = `${operation}: ${runtime.kind} exited with ${exitCode ?? 'a signal'} and logged nothing`;
  return new StackshimError('ERR_STACKSHIM_RUNTIME_FAILED', text, { details });
}

export interface StartFailureOptions {
  readonly exitCode: number | null;
  /** The task's stderr, or its beginning: all the runtime's, because the command never ran. Unknown with a terminal. */
  readonly stderr?: string;
  /** How many of the task's processes the kernel killed for lack of memory. */
  readonly oomKills?: number | null;
}

const MESSAGE_CHARACTERS = 2000;

/**
 * The error for a started container whose init ended without becoming the command (`executed` of `readProcess` is false, and nobody killed the
 * init). runc and crun write the reason to the task's stderr, not to their log. The file existed when the container was created, so without a
 * text the error is that it cannot be executed.
 */
export function toStartFailure(runtime: Runtime, options: StartFailureOptions): StackshimError {
  const { exitCode, stderr = '', oomKills } = options;
  const log = stderr.slice(0, MESSAGE_CHARACTERS).trim();
  const details = { runtime: runtime.path, exitCode, log };
  if (exitCode === null && (oomKills ?? 0) > 0) {
    const text = 'start command: the memory limit is too low for the runtime';
    return new StackshimError('ERR_STACKSHIM_SPEC_INVALID', text, { details, hint: MEMORY_HINT });
  }
  if (exitCode === null) {
    const text = 'start command: the init was killed before it could execute it';
    return new StackshimError('ERR_STACKSHIM_RUNTIME_FAILED', text, { details });
  }
  const message = lastLogMessage(log) ?? log;
  if (message !== '') return toClassified('start command', message, details);
  const text = 'start command: it could not be executed';
  return new StackshimError('ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE', text, { details });
}

function toClassified(
  operation: string,
  message: string,
  details: Readonly<Record<string, unknown>>,
): StackshimError {
  const { code, hint } = classifyFailure(message);
  return new StackshimError(code, `${operation}: ${message}`, { hint, details });
}

/** Room for the few lines that matter; a log may be much longer. */
const TAIL_BYTES = 8192;

/** The end of a runtime's log, at most 8 KiB; empty if there is no log. */
export function readLogTail(logFile: string): string {
  const fd = unlessMissing(() => openSync(logFile, 'r'));
  if (fd === undefined) return '';
  return withFd(fd, () => {
    const { size } = fstatSync(fd);
    const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
    const length = readSync(fd, tail, 0, tail.length, Math.max(0, size - TAIL_BYTES));
    return tail.toString('utf8', 0, length);
  });
}

/** The last error's text in a runtime's JSON log lines; without an error, the last line's of any level. */
export function lastLogMessage(tail: string): string | undefined {
  let last: string | undefined;
  let lastError: string | undefined;
  for (const line of tail.split('\n')) {
    // The first line may be cut, and a crashing runtime writes plain text.
    const { msg, level }: Record<string, unknown> = { ...Object(parseJson(line)) };
    if (typeof msg !== 'string') continue;
    last = msg;
    if (level === 'error' || level === 'fatal') lastError = msg;
  }
  return lastError ?? last;
}

export interface FailureClass {
  readonly code: ErrorCode;
  readonly hint?: string;
}

const RUNC =
  '^(?:runc create failed: )?(?:unable to start container process: )?(?:error during container init: )?';
const MISSING =
  'no such file or directory|not a directory|too many levels of symbolic links|file name too long';

const runc = (rest: string) => new RegExp(`${RUNC}${rest}$`, 's');
/** Matches up to the first word that names a thing. A tenant may choose the rest, and two wildcards around the word would take cubic time. */
const runsc = (rest: string) =>
  new RegExp(`^starting container: (?:starting [a-z ]{1,40}: )*${rest}$`, 's');
/** The hint for a memory limit that is too low for the runtime itself. */
const MEMORY_HINT = 'raise the memory limit; the runtime itself needs a few megabytes to start';

/**
 * Classifies a runtime's error text; the first match counts. Runtimes have no error codes, so this table, and no other code, depends on their
 * words: runc 1.1 and 1.3, crun 1.8 (which names no path) and 1.21, runsc 20240729. Patterns match both ends of the text, because a command's
 * name in its middle may be anything.
 */
const classes: readonly (FailureClass & { readonly patterns: readonly RegExp[] })[] = [
  // The command, which runc and crun look up when they create the container, and runsc when it starts the container.
  {
    code: 'ERR_STACKSHIM_COMMAND_NOT_FOUND',
    patterns: [
      runc(String.raw`exec: ".*": executable file not found in \$PATH`),
      runc(`exec: ".*": stat .*: (?:${MISSING})`),
      /^executable file `.*` not found(?: in \$PATH)?: No such file or directory$/s,
      /^cannot open `.*`: (?:Not a directory|Too many levels of symbolic links|File name too long)$/s,
      /^open executable: (?:Not a directory|Too many levels of symbolic links|File name too long)$/,
      runsc('error finding executable ".*: [a-z ]+'),
      runsc(`(?:creating process: )?failed to load .*: (?:${MISSING})`),
    ],
  },
  {
    code: 'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE',
    patterns: [
      runc('exec: ".*": (?:stat .*: )?(?:permission denied|is a directory)'),
      /^the path `.*` (?:exists but it is not executable|is not a regular file): Operation not permitted$/s,
      /^open executable: (?:Permission denied|Operation not permitted)$/,
      runsc('(?:creating process: )?failed to load .*: [a-z ]+'),
      // A failed execve(2) of the command, reported on the init's stderr after the start.
      /^exec .*: [a-z ]+$/s,
      /^exec container process (?:\(missing dynamic library\?\) )?`.*`: [A-Za-z ]+$/s,
    ],
  },
  // A setting of the task that is not possible.
  {
    code: 'ERR_STACKSHIM_SPEC_INVALID',
    hint: 'use a working directory that exists and that the user may enter',
    patterns: [
      runc('chdir to cwd .*: .*'),
      runc('mkdir .*: (?:not a directory|read-only file system)'),
      /^chdir (?:to )?`.*`: [A-Za-z ]+$/s,
    ],
  },
  {
    code: 'ERR_STACKSHIM_SPEC_INVALID',
    hint: 'use user and group ids within the mapped range',
    patterns: [
      runc('unable to setup user: .*unmapped.*'),
      /^cannot setres[ug]id to `\d+`: Invalid argument$/,
    ],
  },
  {
    code: 'ERR_STACKSHIM_SPEC_INVALID',
    hint: MEMORY_HINT,
    patterns: [
      runc(String.raw`.*unable to set memory limit to \d+ \(current usage: \d+, peak usage: \d+\)`),
      runc(String.raw`.*container init was OOM-killed \(memory limit too low\?\)`),
    ],
  },
  // A limit of the host or of this process.
  {
    code: 'ERR_STACKSHIM_PROCESS_EXHAUSTED',
    patterns: [
      runc(String.raw`unable to start init: fork/exec \S+: resource temporarily unavailable`),
      runc('.*: too many open files'),
      /^(?:fork|clone|pipe|open [a-z ]+|open `.*`): (?:Resource temporarily unavailable|Too many open files)$/s,
    ],
  },
  {
    code: 'ERR_STACKSHIM_TASK_CONFLICT',
    patterns: [runc('container with given ID already exists'), /^container `.*` already exists$/s],
  },
];

/** The beginning of runc's messages about a further command. The rest is as at a start, or about the container. Commands appear by path. */
const RUNC_EXEC = /^(?:runc )?exec failed: /;
const RUNSC_EXEC = 'executing processes for container: executing command "';
const IN_SANDBOX = '" in sandbox: ';

/** The class of a runtime's error text; ERR_STACKSHIM_RUNTIME_FAILED if unknown. */
export function classifyFailure(message: string): FailureClass {
  const ofSandbox = message.slice(message.lastIndexOf(IN_SANDBOX) + IN_SANDBOX.length);
  // The text as it would be at a container's start.
  const text = message.startsWith(RUNSC_EXEC)
    ? `starting container: ${ofSandbox}`
    : message.replace(RUNC_EXEC, '');
  for (const { patterns, ...found } of classes) {
    if (patterns.some((pattern) => pattern.test(text))) return found;
  }
  return { code: 'ERR_STACKSHIM_RUNTIME_FAILED' };
}
