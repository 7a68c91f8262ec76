/** Errors as a person reads them, on stderr. */
import type { ErrorJson } from '../core/errors.ts';
import { toPrintable } from './printable.ts';
import { writeMessage } from './write-message.ts';

/** One line with the operation and its code, one with what to do. Names of strangers may be part of both. */
function formatError(error: ErrorJson): string {
  return `stackshim: ${toPrintable(error.message)} [${error.code}]\n  hint: ${toPrintable(error.hint)}\n`;
}

export function reportError(error: ErrorJson): void {
  writeMessage(formatError(error));
}
