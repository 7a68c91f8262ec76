/** Formats tables for people: a header and aligned columns, without characters that could control a terminal. */
import { toPrintable } from '../../core/errors.ts';
import { STDOUT, terminalSize } from './terminal.ts';
import { padTo, shorten, widthOf, wrapText } from './text-width.ts';

const GAP = 3;
/** The gap between columns if the width does not suffice. */
const NARROW_GAP = 2;
/** A column is not shortened to fewer cells. */
const LEAST_CELLS = 8;
/** Text is not wrapped into fewer cells. */
const LEAST_WRAP_CELLS = 20;

export interface TableOptions {
  /** The cells of a line. Default: the width of the terminal on standard output; unlimited if that is no terminal. */
  readonly width?: number;
  /** Columns to shorten first if the table is too wide. Default: none. Then the widest of the others, never the first column. */
  readonly cut?: readonly string[];
  /** Wrap the last column, and shorten nothing. */
  readonly wrap?: boolean;
  /** Shorten nothing, as with `--no-trunc`. */
  readonly whole?: boolean;
}

type Line = readonly string[];

/** Formats one line for the header and for each row; more lines for a row whose last cell is wrapped. The last column is not padded. */
export function formatTable(
  header: Line,
  rows: readonly Line[],
  options: TableOptions = {},
): string {
  const { width = terminalSize(STDOUT)?.columns, wrap = false, whole = false } = options;
  const lines = [header, ...rows.map((row) => row.map(toPrintable))];
  const natural = header.map((_, column) =>
    Math.max(...lines.map((line) => widthOf(line[column] ?? ''))),
  );
  if (width === undefined || whole || totalOf(natural, GAP) <= width) {
    return layOut(lines, natural, natural, GAP);
  }
  if (wrap) return layOut(wrapLast(lines, natural, width), natural, natural, GAP);
  const cut = options.cut ?? [];
  const first = header.flatMap((name, column) => (cut.includes(name) ? [column] : []));
  const turns = [first, [...header.keys()].slice(1)];
  const roomy = shrink(natural, turns, width, GAP);
  if (totalOf(roomy, GAP) <= width) return layOut(lines, natural, roomy, GAP);
  const narrow = shrink(natural, turns, width, NARROW_GAP);
  return layOut(lines, natural, narrow, NARROW_GAP);
}

const totalOf = (widths: readonly number[], gap: number) =>
  widths.reduce((sum, cells) => sum + cells, gap * (widths.length - 1));

/** @param natural Cells of the widest text in each column. */
function layOut(
  lines: readonly Line[],
  natural: readonly number[],
  widths: readonly number[],
  gap: number,
): string {
  const last = widths.length - 1;
  const toCell = (cell: string, column: number) => {
    const cells = widths[column] ?? 0;
    const fitted = cells < (natural[column] ?? 0) ? shorten(cell, cells) : cell;
    return column === last ? fitted : padTo(fitted, cells);
  };
  const between = ' '.repeat(gap);
  return lines.map((line) => `${line.map(toCell).join(between).trimEnd()}\n`).join('');
}

/**
 * Takes cells from the widest column, again and again, until the table fits or no column can become narrower.
 *
 * @param turns Columns that may be shortened: those of one turn as far as possible before those of the next.
 */
function shrink(
  natural: readonly number[],
  turns: readonly (readonly number[])[],
  width: number,
  gap: number,
): readonly number[] {
  const widths = [...natural];
  const widthAt = (column: number) => widths[column] ?? 0;
  for (const columns of turns) {
    // Saves turns of the loop below: no cell is longer than the table.
    for (const column of columns) {
      widths[column] = Math.min(widthAt(column), Math.max(width, LEAST_CELLS));
    }
    while (totalOf(widths, gap) > width) {
      const shrinkable = columns.filter((column) => widthAt(column) > LEAST_CELLS);
      const [widest] = shrinkable.sort((a, b) => widthAt(b) - widthAt(a));
      if (widest === undefined) break;
      widths[widest] = widthAt(widest) - 1;
    }
  }
  return widths;
}

function wrapLast(
  lines: readonly Line[],
  natural: readonly number[],
  width: number,
): readonly Line[] {
  const before = totalOf(natural, GAP) - (natural.at(-1) ?? 0);
  const room = Math.max(LEAST_WRAP_CELLS, width - before);
  return lines.flatMap((line) =>
    wrapText(line.at(-1) ?? '', room).map((part, index) => [
      ...line.slice(0, -1).map((cell) => (index === 0 ? cell : '')),
      part,
    ]),
  );
}
