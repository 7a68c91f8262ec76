/** Formats tables for people: a header and aligned columns, without characters that could control a terminal. Pure. */
import { toPrintable } from './printable.ts';

const GAP = '   ';

/** One line for the header and one for each row. The last column is not padded. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const lines = [header, ...rows.map((row) => row.map(toPrintable))];
  const widths = header.map((_, column) =>
    Math.max(...lines.map((line) => lengthOf(line[column] ?? ''))),
  );
  return lines
    .map((line) => `${line.map((cell, column) => pad(cell, widths[column] ?? 0)).join(GAP)}`)
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** At most `length` characters; a longer text is cut and ends in `…`. */
export function shorten(text: string, length: number): string {
  const characters = [...text];
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join('')}…`;
}

const lengthOf = (text: string) => [...text].length;
const pad = (text: string, width: number) => text + ' '.repeat(width - lengthOf(text));
