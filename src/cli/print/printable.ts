/** Makes lines and JSON safe for a terminal, and writes errors and messages there. */
import { writeSync } from 'node:fs';
import { type ErrorJson, toPrintable, UNPRINTABLE } from '../../core/errors.ts';

const PLAIN = /^[\n\x20-\x7e]*$/;

/** Like {@link toPrintable}, but keeps line breaks and tabs. */
export const toPrintableLines = (text: string): string =>
  PLAIN.test(text) ? text : text.replace(/[^\n\t]+/g, (part) => toPrintable(part));

/** Returns JSON that is safe on a terminal. Escapes characters that JSON allows where necessary, which does not change the value. */
export function toJsonText(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent);
  if (PLAIN.test(text)) return text;
  return text.replaceAll(UNPRINTABLE, (character) =>
    character === '\n' ? character : toJsonEscape(character),
  );
}

/** A character beyond the first plane consists of two code units. */
const toJsonEscape = (character: string) =>
  Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
  ).join('');

/** Write to the descriptor: loading `process.stderr` takes time. */
const STDERR = 2;

/** Prints one line with the message and its code, and one with the hint. Both may contain untrusted names. */
export function reportError({ message, code, hint }: ErrorJson): void {
  writeMessage(`stackshim: ${toPrintable(message)} [${code}]\n  hint: ${toPrintable(hint)}\n`);
}

/** Tells a person that a signal stops `what`. Only SIGINT comes from a person, by Ctrl-C. */
export const reportInterrupt = (what: string) => (signal: NodeJS.Signals) => {
  if (signal !== 'SIGINT') return;
  writeMessage(`stackshim: interrupted: stopping the ${what}; interrupt again to kill it\n`);
};

export function reportLeftovers(task: {
  readonly id: string;
  readonly leftovers: readonly string[];
}): void {
  writeMessage(
    `stackshim: task ${task.id} is not removed: ${task.leftovers.join('; ')}\n  hint: remove the cause, then run stackshim reap\n`,
  );
}

/**
 * Writes a message synchronously; nothing in it can control a terminal. If standard error cannot be written, only the exit status reports
 * the problem.
 *
 * @param end Written unchanged after the text.
 */
export function writeMessage(text: string, end = ''): void {
  try {
    writeSync(STDERR, `${toPrintableLines(text)}${end}`);
  } catch {
    // Standard error cannot be written.
  }
}
