/** Prints, on stderr, the output of a program that failed in a build or an exchange. */
import type { ErrorJson, StackshimError } from '../../core/errors.ts';
import { printNote } from './print.ts';
import { canRedraw, STDERR } from './terminal.ts';

/**
 * The error itself contains only the last line.
 *
 * @param isLogged Whether the lines of the program were shown and stay: in a log they do, on a terminal they were overwritten.
 */
export function reportToolOutput(
  { code, details }: Pick<StackshimError | ErrorJson, 'code' | 'details'>,
  isLogged = !canRedraw(STDERR),
): void {
  const { output, stdout, stderr } = details;
  if (Array.isArray(output) && !isLogged) {
    printNote(output.map((line) => `${line}\n`).join(''));
  }
  if (code !== 'ERR_STACKSHIM_SMOKE_FAILED') return;
  for (const text of [stdout, stderr]) {
    if (typeof text === 'string' && text !== '') printNote(`${text.trimEnd()}\n`);
  }
}
