/** Collects the errors of stacks that could not be read, to report them after the readable ones. */
import type { DamageListener } from '../store/stacks/current-stacks.ts';
import { statusOfError } from './exit-status.ts';
import { reportError } from './printable.ts';

export interface DamageReport {
  readonly listener: DamageListener;
  /** Prints each error on stderr and sets the exit status to that of the first one. */
  report(): void;
}

export function collectDamage(): DamageReport {
  const errors: Parameters<typeof reportError>[0][] = [];
  return {
    listener: (error, stack) => {
      errors.push({ ...error.toJSON(), message: `read stack ${stack}: ${error.message}` });
    },
    report() {
      for (const error of errors) reportError(error);
      const [first] = errors;
      if (first !== undefined) process.exitCode = statusOfError(first);
    },
  };
}
