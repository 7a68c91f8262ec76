/** Prints errors, leftovers of tasks and other messages for people on stderr, without the cost of `process.stderr`. */
import { writeSync } from 'node:fs';
import type { ErrorJson } from '../core/errors.ts';
import { toPrintable, toPrintableLines } from './printable.ts';

const STDERR = 2;

/** One line with the message and its code, one with the hint. Both may contain untrusted names. */
function formatError(error: ErrorJson): string {
  return `stackshim: ${toPrintable(error.message)} [${error.code}]\n  hint: ${toPrintable(error.hint)}\n`;
}

export function reportError(error: ErrorJson): void {
  writeMessage(formatError(error));
}

export function reportLeftovers(task: {
  readonly id: string;
  readonly leftovers: readonly string[];
}): void {
  writeMessage(
    `stackshim: task ${task.id} is not removed: ${task.leftovers.join('; ')}\n  hint: remove the cause, then run stackshim reap\n`,
  );
}

/** Writes a message synchronously; nothing in it can control a terminal. If standard error cannot be written, nobody can be told: the exit status remains. */
export function writeMessage(text: string): void {
  try {
    writeSync(STDERR, toPrintableLines(text));
  } catch {
    // Standard error cannot be written.
  }
}
