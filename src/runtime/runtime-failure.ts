/** Turns a runtime's failure into the error of a task's result, from what the runtime wrote to its JSON log or to standard error. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { ErrorCode } from '../core/error-codes.ts';
import { StackshimError, unlessMissing } from '../core/errors.ts';
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
    hint,
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

/** Room for the few lines that matter; a log may be much longer. */
const TAIL_BYTES = 8192;

/** The end of a runtime's log, at most 8 KiB; empty if there is no log. */
export function readLogTail(logFile: string): string {
  const fd = unlessMissing(() => openSync(logFile, 'r'));
  if (fd === undefined) return '';
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

export interface FailureClass {
  readonly code: ErrorCode;
  readonly hint?: string;
}

interface FailurePattern extends FailureClass {
  readonly pattern: RegExp;
}

const RUNC =
  '^(?:runc create failed: )?(?:unable to start container process: )?(?:error during container init: )?';
const MISSING =
  'no such file or directory|not a directory|too many levels of symbolic links|file name too long';

const runc = (rest: string) => new RegExp(`${RUNC}${rest}$`, 's');
/** Matches up to the first word that names something: what follows may be chosen by a tenant, and two wildcards around it would take cubic time. */
const runsc = (rest: string) =>
  new RegExp(`^starting container: (?:starting [a-z ]{1,40}: )*${rest}$`, 's');
const workdirHint = {
  hint: 'use a working directory that exists and that the user may enter',
};
const userHint = { hint: 'use user and group ids within the mapped range' };
/** The hint for a task's memory limit that is too low for the runtime itself. */
const memoryHint = {
  hint: 'raise the memory limit; the runtime itself needs a few megabytes to start',
};

/**
 * Classifies a runtime's error text. The runtimes have no error codes, so this table alone depends on their words: runc 1.1 and 1.3, crun
 * 1.8 and 1.21, runsc 20240729. The patterns match both ends of the text, because its middle contains a command's name, which may be
 * anything.
 */
const patterns: readonly FailurePattern[] = [
  // The command, which runc looks up while it creates the container.
  {
    pattern: runc(String.raw`exec: ".*": executable file not found in \$PATH`),
    code: 'ERR_STACKSHIM_COMMAND_NOT_FOUND',
  },
  { pattern: runc(`exec: ".*": stat .*: (?:${MISSING})`), code: 'ERR_STACKSHIM_COMMAND_NOT_FOUND' },
  {
    pattern: runc('exec: ".*": (?:stat .*: )?(?:permission denied|is a directory)'),
    code: 'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE',
  },
  // The same text, as crun writes it.
  {
    pattern: /^executable file `.*` not found(?: in \$PATH)?: No such file or directory$/s,
    code: 'ERR_STACKSHIM_COMMAND_NOT_FOUND',
  },
  {
    pattern:
      /^cannot open `.*`: (?:Not a directory|Too many levels of symbolic links|File name too long)$/s,
    code: 'ERR_STACKSHIM_COMMAND_NOT_FOUND',
  },
  {
    pattern:
      /^the path `.*` (?:exists but it is not executable|is not a regular file): Operation not permitted$/s,
    code: 'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE',
  },
  // The command, as crun 1.8 reports it, without a path.
  {
    pattern:
      /^open executable: (?:Not a directory|Too many levels of symbolic links|File name too long)$/,
    code: 'ERR_STACKSHIM_COMMAND_NOT_FOUND',
  },
  {
    pattern: /^open executable: (?:Permission denied|Operation not permitted)$/,
    code: 'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE',
  },
  // The command, which runsc looks up when it starts the container.
  {
    pattern: runsc('error finding executable ".*: [a-z ]+'),
    code: 'ERR_STACKSHIM_COMMAND_NOT_FOUND',
  },
  {
    pattern: runsc(`(?:creating process: )?failed to load .*: (?:${MISSING})`),
    code: 'ERR_STACKSHIM_COMMAND_NOT_FOUND',
  },
  {
    pattern: runsc('(?:creating process: )?failed to load .*: [a-z ]+'),
    code: 'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE',
  },
  // A failed execve(2) of the command, reported on the init's stderr after the start.
  { pattern: /^exec .*: [a-z ]+$/s, code: 'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE' },
  {
    pattern: /^exec container process (?:\(missing dynamic library\?\) )?`.*`: [A-Za-z ]+$/s,
    code: 'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE',
  },
  // Something that the task asked for and cannot have.
  { pattern: runc('chdir to cwd .*: .*'), code: 'ERR_STACKSHIM_SPEC_INVALID', ...workdirHint },
  {
    pattern: runc('mkdir .*: (?:not a directory|read-only file system)'),
    code: 'ERR_STACKSHIM_SPEC_INVALID',
    ...workdirHint,
  },
  {
    pattern: /^chdir (?:to )?`.*`: [A-Za-z ]+$/s,
    code: 'ERR_STACKSHIM_SPEC_INVALID',
    ...workdirHint,
  },
  {
    pattern: runc('unable to setup user: .*unmapped.*'),
    code: 'ERR_STACKSHIM_SPEC_INVALID',
    ...userHint,
  },
  {
    pattern: /^cannot setres[ug]id to `\d+`: Invalid argument$/,
    code: 'ERR_STACKSHIM_SPEC_INVALID',
    ...userHint,
  },
  {
    pattern: runc(
      String.raw`.*unable to set memory limit to \d+ \(current usage: \d+, peak usage: \d+\)`,
    ),
    code: 'ERR_STACKSHIM_SPEC_INVALID',
    ...memoryHint,
  },
  {
    pattern: runc(String.raw`.*container init was OOM-killed \(memory limit too low\?\)`),
    code: 'ERR_STACKSHIM_SPEC_INVALID',
    ...memoryHint,
  },
  // A limit of the host or of this process.
  {
    pattern: runc(
      String.raw`unable to start init: fork/exec \S+: resource temporarily unavailable`,
    ),
    code: 'ERR_STACKSHIM_PROCESS_EXHAUSTED',
  },
  { pattern: runc('.*: too many open files'), code: 'ERR_STACKSHIM_PROCESS_EXHAUSTED' },
  {
    pattern:
      /^(?:fork|clone|pipe|open [a-z ]+|open `.*`): (?:Resource temporarily unavailable|Too many open files)$/s,
    code: 'ERR_STACKSHIM_PROCESS_EXHAUSTED',
  },
  { pattern: runc('container with given ID already exists'), code: 'ERR_STACKSHIM_TASK_CONFLICT' },
  { pattern: /^container `.*` already exists$/s, code: 'ERR_STACKSHIM_TASK_CONFLICT' },
];

/** How runc begins its messages about a further command; the rest is as at a start, or about the container. Commands are named by their path. */
const RUNC_EXEC = /^(?:runc )?exec failed: /;
const RUNSC_EXEC = 'executing processes for container: executing command "';
const IN_SANDBOX = '" in sandbox: ';

/** The message as it would be at the start of a container. */
function asAtStart(message: string): string {
  if (!message.startsWith(RUNSC_EXEC)) return message.replace(RUNC_EXEC, '');
  return `starting container: ${message.slice(message.lastIndexOf(IN_SANDBOX) + IN_SANDBOX.length)}`;
}

/** The class of a runtime's error text; ERR_STACKSHIM_RUNTIME_FAILED for an unknown text. */
export function classifyFailure(message: string): FailureClass {
  const text = asAtStart(message);
  for (const { pattern, ...found } of patterns) if (pattern.test(text)) return found;
  return { code: 'ERR_STACKSHIM_RUNTIME_FAILED' };
}
