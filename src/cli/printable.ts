/**
 * Makes untrusted text safe for a terminal: file names, output of builds and smoke commands, labels, descriptions. Everything that a command
 * prints passes through here, except the output of a task, which is the task's own. Pure.
 */

/** Control characters (C0, C1), format characters (including bidirectional overrides), line and paragraph separators, and unassigned characters. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;
const PLAIN = /^[\n\x20-\x7e]*$/;

/** For one line: line breaks become visible escapes, too. */
export const toPrintable = (text: string): string => text.replaceAll(UNPRINTABLE, toEscape);

/** Keeps line breaks and tabs. */
export const toPrintableLines = (text: string): string =>
  PLAIN.test(text)
    ? text
    : text.replaceAll(UNPRINTABLE, (character) =>
        character === '\n' || character === '\t' ? character : toEscape(character),
      );

/** JSON that is safe on a terminal: characters that JSON allows are escaped where necessary, which does not change the value. */
export function toJsonText(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent);
  if (PLAIN.test(text)) return text;
  return text.replaceAll(UNPRINTABLE, (character) =>
    character === '\n' ? character : toJsonEscape(character),
  );
}

function toEscape(character: string): string {
  if (character === '\n') return '\\n';
  if (character === '\t') return '\\t';
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}

/** A character beyond the first plane consists of two code units. */
const toJsonEscape = (character: string) =>
  Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
  ).join('');
