/** Tables for people: a header, aligned columns, nothing that could steer a terminal. Pure. */

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

/** Text of strangers as one line: control characters, line breaks included, become visible escapes. */
export function toPrintable(text: string): string {
  return text.replaceAll(/\p{C}/gu, (character) => {
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    return `\\u{${character.codePointAt(0)?.toString(16)}}`;
  });
}

/** At most `length` characters; what is longer ends in `…`. */
export function shorten(text: string, length: number): string {
  const characters = [...text];
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join('')}…`;
}

const lengthOf = (text: string) => [...text].length;
const pad = (text: string, width: number) => text + ' '.repeat(width - lengthOf(text));
