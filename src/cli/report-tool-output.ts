/** Prints, on stderr, the output of a program that failed in a build or an exchange. */
import type { ErrorJson, StackshimError } from '../core/errors.ts';
import { printNote } from './print.ts';

/** The error itself contains only the last line. */
export function reportToolOutput({
  code,
  details,
}: Pick<StackshimError | ErrorJson, 'code' | 'details'>): void {
  const { output, stdout, stderr } = details;
  // A log already contains the builder's lines; on a terminal they were overwritten.
  if (Array.isArray(output) && process.stderr.isTTY) {
    printNote(output.map((line) => `${line}\n`).join(''));
  }
  if (code !== 'ERR_STACKSHIM_SMOKE_FAILED') return;
  for (const text of [stdout, stderr]) {
    if (typeof text === 'string' && text !== '') printNote(`${text.trimEnd()}\n`);
  }
}
