/** The finding of one check of the host. */
import { StackshimError, toStackshimError } from '../core/errors.ts';

export type CheckStatus = 'ok' | 'warn' | 'fail';

/** One check of `doctor`. */
export interface Check {
  /** The subject: `kernel`, `cgroup controllers`, `runtime runc`, … */
  readonly name: string;
  readonly status: CheckStatus;
  readonly message: string;
  /** What to do about the finding; absent if the check passed. */
  readonly hint?: string;
  /** True: no task can run if the check fails. */
  readonly required: boolean;
}

type Subject = Pick<Check, 'name' | 'required'>;

/** A subject without which no task can run. */
export const required = (name: string): Subject => ({ name, required: true });
/** A subject that only some tasks or commands need. */
export const optional = (name: string): Subject => ({ name, required: false });

export const passed = (subject: Subject, message: string): Check => ({
  ...subject,
  status: 'ok',
  message,
});

const finding =
  (status: CheckStatus) =>
  (subject: Subject, message: string, hint: string): Check => ({
    ...subject,
    status,
    message,
    hint,
  });

export const warned = finding('warn');
export const failed = finding('fail');

/** Resolves to the result of `act`, or of `otherwise` for a StackshimError. Rejects with any other error. */
export async function unlessRefused<T>(
  act: () => T | Promise<T>,
  otherwise: (error: StackshimError) => T,
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof StackshimError) return otherwise(error);
    throw error;
  }
}

/** Runs a check that needs root. For other users, the finding is the warning `untried`. */
export const ifRoot = <T>(
  subject: Subject,
  untried: string,
  check: () => T | Promise<T>,
): T | Promise<T> | Check =>
  process.geteuid?.() === 0 ? check() : warned(subject, untried, 'run stackshim doctor as root');

const UNRELATED_CODES: ReadonlySet<string> = new Set([
  'ERR_STACKSHIM_DISK_FAILED',
  'ERR_STACKSHIM_PROCESS_EXHAUSTED',
]);

/** The hint for a failed trial: the error's own hint if a disk refuses writes or a resource is exhausted, else `otherwise`. */
export function hintOf(error: unknown, otherwise: string): string {
  const known = toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'doctor');
  return UNRELATED_CODES.has(known.code) ? known.hint : otherwise;
}
