/**
 * Maps a runtime's error text to an error code. The runtimes offer no codes, so this is the only place that matches their words: runc 1.1
 * and 1.3, crun 1.8 and 1.21, runsc 20240729. Each pattern matches both ends of the text, because a command's name is in the middle and may
 * contain anything.
 */
import type { ErrorCode } from '../core/error-codes.ts';

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
export const memoryHint = {
  hint: 'raise the memory limit; the runtime itself needs a few megabytes to start',
};

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
  // The command, as crun reports it.
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
    pattern: runsc(`creating process: failed to load .*: (?:${MISSING})`),
    code: 'ERR_STACKSHIM_COMMAND_NOT_FOUND',
  },
  {
    pattern: runsc('creating process: failed to load .*: [a-z ]+'),
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

/** The class of a runtime's error text; ERR_STACKSHIM_RUNTIME_FAILED for an unknown text. */
export function classifyFailure(text: string): FailureClass {
  for (const { pattern, ...found } of patterns) if (pattern.test(text)) return found;
  return { code: 'ERR_STACKSHIM_RUNTIME_FAILED' };
}
