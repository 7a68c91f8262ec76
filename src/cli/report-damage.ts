/** Stacks that could not be read, after those that could were told about. */
import type { DamageListener } from '../stacks/current-stacks.ts';
import { statusOfError } from './exit-status.ts';
import { reportError } from './printable.ts';

export interface DamageReport {
  readonly listener: DamageListener;
  /** Tells of each on stderr; the exit status becomes that of the first. */
  tell(): void;
}

export function collectDamage(): DamageReport {
  const errors: Parameters<typeof reportError>[0][] = [];
  return {
    listener: (error, stack) => {
      errors.push({ ...error.toJSON(), message: `read stack ${stack}: ${error.message}` });
    },
    tell() {
      for (const error of errors) reportError(error);
      const [first] = errors;
      if (first !== undefined) process.exitCode = statusOfError(first);
    },
  };
}
