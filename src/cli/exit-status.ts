/** Exit statuses. `run`, `exec`, `queue add --wait`: as docker. Others: 0 ok, 1 failed, 2 invalid, 3 not found, 4 conflict or busy. */
import { constants } from 'node:os';
import type { ErrorKind } from '../core/error-codes.ts';
import type { StackshimError } from '../core/errors.ts';
import type { TaskResult } from '../task/result.ts';

/** The status of `run` if stackshim itself fails, also for a usage error. */
export const SHIM_FAILED = 125;
export const USAGE_ERROR = 2;
/** The status of a program that SIGPIPE ended: the reader closed the pipe before everything was written. */
export const READER_GONE = 128 + constants.signals.SIGPIPE;

const NOT_EXECUTABLE = 126;
const NOT_FOUND = 127;
const TIMED_OUT = 124;
const KILLED = 128 + constants.signals.SIGKILL;

/** Errors of a task that succeeded, but did not deliver all its outputs. */
const OF_OUTPUTS: ReadonlySet<string> = new Set([
  'ERR_STACKSHIM_OUTPUT_INCOMPLETE',
  'ERR_STACKSHIM_OUTPUT_FAILED',
]);

const statuses: Readonly<Record<ErrorKind, number>> = {
  invalid: USAGE_ERROR,
  not_found: 3,
  conflict: 4,
  denied: 1,
  exhausted: 1,
  unavailable: 1,
  aborted: 1,
  internal: 1,
};

/** The status of an error, for commands that do not pass a task's status on. */
export const statusOfError = (error: Pick<StackshimError, 'kind'>): number => statuses[error.kind];

/** @param stopSignal The signal that made `run` cancel the task. */
export function statusOfResult(result: TaskResult, stopSignal: NodeJS.Signals | undefined): number {
  switch (result.verdict) {
    case 'succeeded':
      return OF_OUTPUTS.has(result.error?.code ?? '') ? SHIM_FAILED : statusOfExit(result);
    case 'failed':
    case 'signaled':
    case 'disk_full':
      return statusOfExit(result);
    case 'timed_out':
    case 'cpu_time_exceeded':
      return TIMED_OUT;
    case 'oom_killed':
    case 'output_limited':
      return KILLED;
    case 'cancelled':
      return 128 + signalNumber(stopSignal ?? 'SIGTERM');
    case 'build_failed':
      return SHIM_FAILED;
    case 'setup_failed':
      return statusOfSetupFailure(result.error);
  }
}

/** The status of a command that ended by itself, as a shell gives it. */
export function statusOfExit({
  exitCode,
  signal,
}: Pick<TaskResult, 'exitCode' | 'signal'>): number {
  return signal === null ? (exitCode ?? SHIM_FAILED) : 128 + signalNumber(signal);
}

/** The status of `run` and `exec` if the command could not be started. */
export function statusOfSetupFailure(error: Pick<StackshimError, 'code'> | null): number {
  if (error?.code === 'ERR_STACKSHIM_COMMAND_NOT_FOUND') return NOT_FOUND;
  if (error?.code === 'ERR_STACKSHIM_COMMAND_NOT_EXECUTABLE') return NOT_EXECUTABLE;
  return SHIM_FAILED;
}

export function signalNumber(name: string | null): number {
  const known = Object.entries(constants.signals).find(([candidate]) => candidate === name);
  return known?.[1] ?? Number(name?.slice('SIG'.length) ?? 0);
}
