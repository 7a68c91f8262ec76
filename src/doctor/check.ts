/** What one look at the host found. */
import { toStackshimError } from '../core/errors.ts';

export type CheckStatus = 'ok' | 'warn' | 'fail';

export interface Check {
  /** What was looked at: `kernel`, `cgroup controllers`, `runtime runc`, … */
  readonly name: string;
  readonly status: CheckStatus;
  readonly message: string;
  /** What to do about it; absent when all is well. */
  readonly hint?: string;
  /** Whether tasks cannot run when it fails. */
  readonly required: boolean;
}

interface Subject {
  readonly name: string;
  readonly required: boolean;
}

/** A part of the host without which no task runs. */
export const required = (name: string): Subject => ({ name, required: true });
/** A part of the host that some tasks or commands want. */
export const optional = (name: string): Subject => ({ name, required: false });

export const passed = (subject: Subject, message: string): Check => ({
  ...subject,
  status: 'ok',
  message,
});

export const warned = (subject: Subject, message: string, hint: string): Check => ({
  ...subject,
  status: 'warn',
  message,
  hint,
});

export const failed = (subject: Subject, message: string, hint: string): Check => ({
  ...subject,
  status: 'fail',
  message,
  hint,
});

const NOT_OF_THE_TRIAL: ReadonlySet<string> = new Set([
  'ERR_STACKSHIM_DISK_FAILED',
  'ERR_STACKSHIM_PROCESS_EXHAUSTED',
]);

/** The hint for a trial that failed: the error's own when a disk takes no writes or a resource is used up, else `otherwise`. */
export function hintOf(error: unknown, otherwise: string): string {
  const known = toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'doctor');
  return NOT_OF_THE_TRIAL.has(known.code) ? known.hint : otherwise;
}
