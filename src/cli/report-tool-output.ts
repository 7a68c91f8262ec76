/** What a program said that failed in a build or an exchange, on stderr. */
import type { ErrorJson, StackshimError } from '../core/errors.ts';
import { printNote } from './print.ts';

/** The error itself has room for the last line only. */
export function reportToolOutput({
  code,
  details,
}: Pick<StackshimError | ErrorJson, 'code' | 'details'>): void {
  const { output, stdout, stderr } = details;
  // A log has the builder's lines already; on a terminal they were written over.
  if (Array.isArray(output) && process.stderr.isTTY) {
    printNote(output.map((line) => `${line}\n`).join(''));
  }
  if (code !== 'ERR_STACKSHIM_SMOKE_FAILED') return;
  for (const text of [stdout, stderr]) {
    if (typeof text === 'string' && text !== '') printNote(`${text.trimEnd()}\n`);
  }
}
