/** Reports, after the work on several stacks, each failure with its stack's name and the output of its smoke command. */
import type { ErrorJson } from '../../core/errors.ts';
import type { StackName } from '../../core/ids.ts';
import type { JsonOption } from '../define/shared-options.ts';
import { statusOfError } from '../exit-status.ts';
import { reportError } from './printable.ts';
import { reportToolOutput } from './report-tool-output.ts';

/** Returns the exit status: 0 without failures, the error's own if there was only one stack, otherwise 1. */
export function reportFailedStacks(
  operation: string,
  outcomes: readonly { readonly stack: StackName; readonly error: ErrorJson | null }[],
  options: JsonOption,
): number {
  const errors = outcomes.flatMap(({ stack, error }) =>
    error === null ? [] : [{ ...error, message: withName(operation, stack, error.message) }],
  );
  for (const error of errors) {
    reportToolOutput(error, options);
    reportError(error);
  }
  const [only] = errors;
  if (only === undefined) return 0;
  return outcomes.length === 1 ? statusOfError(only) : 1;
}

/** Adds the stack's name, because a program's message about its failure does not name the stack. */
function withName(operation: string, stack: StackName, message: string): string {
  const words = message.split(/[^a-z0-9._-]+/);
  return words.includes(stack) ? message : `${operation} ${stack}: ${message}`;
}
