/** Collects the errors of stacks or code packages that could not be read, to report them after the readable ones. */
import type { StackshimError } from '../../core/errors.ts';
import { statusOfError } from '../exit-status.ts';
import { reportError } from './printable.ts';

export interface DamageReport {
  readonly listener: (error: StackshimError, name: string) => void;
  /** Prints each error on stderr and sets the exit status to that of the first one. */
  report(): void;
}

/** @param what `stack` or `code package`. */
export function collectDamage(what: string): DamageReport {
  const errors: Parameters<typeof reportError>[0][] = [];
  return {
    listener: (error, name) => {
      errors.push({ ...error.toJSON(), message: `read ${what} ${name}: ${error.message}` });
    },
    report() {
      for (const error of errors) reportError(error);
      const [first] = errors;
      if (first !== undefined) process.exitCode = statusOfError(first);
    },
  };
}
