/** Errors, what tasks left behind and other messages, as a person reads them, on stderr: without what `process.stderr` costs. */
import { writeSync } from 'node:fs';
import type { ErrorJson } from '../core/errors.ts';
import { toPrintable, toPrintableLines } from './printable.ts';

const STDERR = 2;

/** One line with the operation and its code, one with what to do. Names of strangers may be part of both. */
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

/**
 * Writes a message at once, nothing in it steers a terminal. It is for people, and where standard error does not take it there is
 * nobody left to tell: the exit status says the rest.
 */
export function writeMessage(text: string): void {
  try {
    writeSync(STDERR, toPrintableLines(text));
  } catch {
    // Standard error takes nothing.
  }
}
