/**
 * Text of strangers as it may reach a terminal: names of files, output of builds and smoke commands, labels, descriptions. Everything that a
 * command prints passes through here, but for the output of a task, which is the task's own. Pure.
 */

/** Control characters (C0, C1), format characters (bidirectional overrides among them), separators of lines and paragraphs, unassigned ones. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;
const PLAIN = /^[\n\x20-\x7e]*$/;

/** As one line: line breaks become visible escapes too. */
export const toPrintable = (text: string): string => text.replaceAll(UNPRINTABLE, toEscape);

/** Line breaks and tabs stay. */
export const toPrintableLines = (text: string): string =>
  PLAIN.test(text)
    ? text
    : text.replaceAll(UNPRINTABLE, (character) =>
        character === '\n' || character === '\t' ? character : toEscape(character),
      );

/** JSON that a terminal can show: what JSON itself lets pass is escaped, and reads as the same value. */
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

/** A character beyond the first plane is two code units. */
const toJsonEscape = (character: string) =>
  Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
  ).join('');
