/** Reports failures with stacks and code packages on stderr. */
import type { ErrorJson, StackshimError } from '../../core/errors.ts';
import type { StackName } from '../../core/ids.ts';
import type { JsonOption } from '../define/shared-options.ts';
import { statusOfError } from '../exit-status.ts';
import { printNote } from './print.ts';
import { reportError } from './printable.ts';
import { canRedraw, STDERR } from './terminal.ts';

/**
 * Collects the errors of unreadable stacks or code packages, to report them after the readable ones. `report` prints each error and sets
 * the exit status to that of the first.
 *
 * @param what `stack` or `code package`.
 */
export function collectDamage(what: string) {
  const errors: ErrorJson[] = [];
  return {
    listener: (error: StackshimError, name: string) => {
      errors.push({ ...error.toJSON(), message: `read ${what} ${name}: ${error.message}` });
    },
    report() {
      for (const error of errors) reportError(error);
      const [first] = errors;
      if (first !== undefined) process.exitCode = statusOfError(first);
    },
  };
}

/**
 * Prints the output of a program that failed in a build or an exchange; the error itself has only the last line. Prints nothing that is
 * still visible: a log shows the lines already, a terminal overwrote them, `--json` left them out. Always prints the output of a failed
 * smoke command.
 */
export function reportToolOutput(
  { code, details }: Pick<StackshimError | ErrorJson, 'code' | 'details'>,
  { json = false }: JsonOption,
): void {
  const { output, stdout, stderr } = details;
  if (Array.isArray(output) && (json || canRedraw(STDERR))) {
    printNote(output.map((line) => `${line}\n`).join(''));
  }
  if (code !== 'ERR_STACKSHIM_SMOKE_FAILED') return;
  for (const text of [stdout, stderr]) {
    if (typeof text === 'string' && text !== '') printNote(`${text.trimEnd()}\n`);
  }
}

/** Reports failures by stack, after all work. Returns the exit status: 0 without failures, the error's own for a single stack, otherwise 1. */
export function reportFailedStacks(
  operation: string,
  outcomes: readonly { readonly stack: StackName; readonly error: ErrorJson | null }[],
  options: JsonOption,
): number {
  const errors = outcomes.flatMap(({ stack, error }) => {
    if (error === null) return [];
    // A program's message about its failure does not name the stack.
    const { message } = error;
    const isNamed = message.split(/[^a-z0-9._-]+/).includes(stack);
    return { ...error, message: isNamed ? message : `${operation} ${stack}: ${message}` };
  });
  for (const error of errors) {
    reportToolOutput(error, options);
    reportError(error);
  }
  const [only] = errors;
  if (only === undefined) return 0;
  return outcomes.length === 1 ? statusOfError(only) : 1;
}
