/** Prints, on stderr, the output of a program that failed in a build or an exchange. */
import type { ErrorJson, StackshimError } from '../../core/errors.ts';
import type { JsonOption } from '../define/shared-options.ts';
import { printNote } from './print.ts';
import { canRedraw, STDERR } from './terminal.ts';

/**
 * The error itself contains only the last line.
 * Its lines are printed unless they were shown and stay: in a log they do, on a terminal they were overwritten, with `--json` they were left out.
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
