/** Errors as a person reads them, on stderr. */
import type { ErrorJson } from '../core/errors.ts';

/** One line with the operation and its code, one with what to do. */
function formatError(error: ErrorJson): string {
  return `stackshim: ${error.message} [${error.code}]\n  hint: ${error.hint}\n`;
}

export function reportError(error: ErrorJson): void {
  process.stderr.write(formatError(error));
}
