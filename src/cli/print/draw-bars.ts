/** The characters of drawings in a terminal: bars and trees. Pure. */

export interface Glyphs {
  /** The cells of a bar: full, of another kind, empty. */
  readonly full: string;
  readonly half: string;
  readonly empty: string;
  /** The text before a node of a tree: below an earlier node that has more, below the last one, at a node, at the last one. */
  readonly through: string;
  readonly blank: string;
  readonly branch: string;
  readonly corner: string;
}

export interface DrawOptions {
  readonly glyphs: Glyphs;
  /** The cells of a line; undefined: no bars are drawn. */
  readonly width: number | undefined;
}

const UTF8: Glyphs = {
  ...{ full: '█', half: '▒', empty: '░' },
  ...{ through: '│  ', blank: '   ', branch: '├─ ', corner: '└─ ' },
};
const ASCII: Glyphs = {
  ...{ full: '#', half: '=', empty: '.' },
  ...{ through: '|  ', blank: '   ', branch: '|- ', corner: '`- ' },
};

export const glyphsFor = (utf8: boolean): Glyphs => (utf8 ? UTF8 : ASCII);

/** Returns how many of `cells` cells stand for `amount` of `most`; at least one unless `amount` is 0. */
export function cellsFor(amount: number, most: number, cells: number): number {
  if (amount <= 0 || most <= 0) return 0;
  return Math.min(cells, Math.max(1, Math.round((cells * amount) / most)));
}

/** The least and the most cells of a bar. */
const LEAST_BAR = 8;
const MOST_BAR = 40;

/** Returns the cells of the longest bar that fits beside `textCells` cells of text; 0 if none fits or the width is unknown. */
export function roomForBar(width: number | undefined, textCells: number): number {
  const room = width === undefined ? 0 : Math.min(MOST_BAR, width - 1 - textCells);
  return room < LEAST_BAR ? 0 : room;
}
