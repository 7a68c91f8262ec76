/** Measures, cuts and wraps text in cells of a terminal: a wide character takes two, a combining one none. Pure. */
import stringWidth from 'string-width';

const ASCII = /^[\x20-\x7e]*$/;
const ELLIPSIS = '…';

/** Returns the cells that printable text takes. */
export const widthOf = (text: string): number =>
  ASCII.test(text) ? text.length : stringWidth(text);

/** Cuts text to at most `cells` cells; a cut text ends in `…`. */
export function shorten(text: string, cells: number): string {
  if (widthOf(text) <= cells) return text;
  return cells < 1 ? '' : `${takeCells(text, cells - 1)}${ELLIPSIS}`;
}

export const padTo = (text: string, cells: number): string =>
  text + ' '.repeat(Math.max(0, cells - widthOf(text)));

/** Breaks text between words into lines of at most `cells` cells. Breaks a longer word anywhere. */
export function wrapText(text: string, cells: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (widthOf(longer) <= cells) {
      line = longer;
      continue;
    }
    if (line !== '') lines.push(line);
    line = word;
    while (widthOf(line) > cells) {
      // A line takes at least one character, however wide.
      const [first] = toCharacters(line);
      const part = takeCells(line, cells) || (first?.segment ?? line);
      lines.push(part);
      line = line.slice(part.length);
    }
  }
  return line === '' && lines.length > 0 ? lines : [...lines, line];
}

let segmenter: Intl.Segmenter | undefined;

/** Splits text into characters as a person sees them; each may consist of several code points. */
function toCharacters(text: string): Iterable<{ readonly segment: string }> {
  segmenter ??= new Intl.Segmenter();
  return segmenter.segment(text);
}

function takeCells(text: string, cells: number): string {
  let taken = '';
  let used = 0;
  for (const { segment } of toCharacters(text)) {
    used += widthOf(segment);
    if (used > cells) break;
    taken += segment;
  }
  return taken;
}
