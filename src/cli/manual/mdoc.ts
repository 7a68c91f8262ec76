/** Writes mdoc(7), the language of manual pages, so that man, groff and mandoc read any text as text. Pure. */

import { wrapText } from '../print/text-width.ts';

/** mandoc wants lines of at most 80 bytes; escapes make lines longer. */
const LINE_CELLS = 72;

/** Formats text for a line of its own: nothing in it is a request or an escape. */
export const toText = (text: string): string => escapeText(text).replace(/^(?=[.'])/, '\\&');

/** Formats one argument of a macro, whatever it contains. */
export function toArgument(text: string): string {
  const escaped = escapeText(text).replaceAll('"', '\\(dq');
  // A capitalized word may be the name of a macro, and punctuation has a special meaning.
  return /^(?:[a-z][\w-]*|[A-Z][\w-]{3,})$/.test(escaped) ? escaped : `"\\&${escaped}"`;
}

/** Formats a paragraph: each sentence begins a line, as mandoc demands. */
export const toParagraph = (text: string): string =>
  text
    .trim()
    .replaceAll(/\s+/g, ' ')
    .split(/(?<=[.!?]) (?=[A-Z])/)
    .flatMap((sentence) => wrapText(sentence, LINE_CELLS))
    .map((line) => `${toText(line)}\n`)
    .join('');

/** Formats lines that stay as they are. */
export const toLiteral = (text: string): string =>
  `.Bd -literal -offset indent\n${text
    .replace(/^\n+/, '')
    .split('\n')
    .map((line) => `${toText(line.trimEnd())}\n`)
    .join('')}.Ed\n`;

const NOT_ASCII = /[^\x20-\x7e]/gu;

/** A hyphen that begins an option must stay the character that people type. */
const escapeText = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll(/(?<![^\s('"`|])-+(?=\w)/g, (hyphens) => '\\-'.repeat(hyphens.length))
    .replaceAll(NOT_ASCII, (character) => {
      const code = character.codePointAt(0) ?? 0;
      return `\\[u${code.toString(16).toUpperCase().padStart(4, '0')}]`;
    });
