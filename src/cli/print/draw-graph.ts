/** Draws the tree of bases and stacks as text, with a bar for what each stack adds. Pure. */
import { type GraphNode, toRows } from '../../store/stacks/stack-graph.ts';
import { cellsFor, type DrawOptions, type Glyphs, roomForBar } from './draw-bars.ts';
import { formatBytes } from './format-quantities.ts';
import type { PaintedLine, Piece } from './print-painted.ts';
import { padTo, widthOf } from './text-width.ts';

const GAP = '  ';

/** Draws one line for each stack. Marks a stack that is behind its base. */
export function drawGraph(nodes: readonly GraphNode[], options: DrawOptions): PaintedLine[] {
  const { glyphs, width } = options;
  const branches = toBranches(nodes, glyphs).map(({ prefix, node }) => ({
    ...{ prefix, node },
    cells: widthOf(`${prefix}${node.stack}`),
    note: toRevision(node),
    size: formatBytes(node.addedBytes),
  }));
  const names = Math.max(0, ...branches.map(({ cells }) => cells));
  const notes = Math.max(0, ...branches.map(({ note }) => widthOf(note)));
  const sizes = Math.max(0, ...branches.map(({ size }) => size.length));
  const room = roomForBar(width, names + notes + sizes + 3 * GAP.length);
  const most = Math.max(0, ...nodes.map(({ addedBytes }) => addedBytes));
  return branches.map(({ prefix, node, cells, note, size }): PaintedLine => {
    const line: Piece[] = [
      { text: prefix, style: 'dim' },
      { text: node.stack, style: 'bold' },
      ' '.repeat(names - cells),
      GAP,
      { text: padTo(note, notes), style: node.behind ? 'yellow' : 'dim' },
      GAP,
      size.padStart(sizes),
    ];
    if (room === 0) return line;
    const bar = glyphs.full.repeat(cellsFor(node.addedBytes, most, room));
    return [...line, GAP, { text: bar, style: node.behind ? 'yellow' : 'cyan' }];
  });
}

const toRevision = ({ revision, behind, base }: GraphNode) =>
  `rev ${revision}${behind ? `, behind ${base ?? 'its base'}` : ''}`;

/** Returns each node with the lines of the tree that lead to it. */
function toBranches(nodes: readonly GraphNode[], glyphs: Glyphs) {
  const rows = toRows(nodes);
  /** For each level above the current row: whether more nodes of that level follow. */
  const goesOn: boolean[] = [];
  return rows.map(({ node, depth }, index) => {
    const later = rows.slice(index + 1);
    const end = later.findIndex((row) => row.depth < depth);
    const siblings = end < 0 ? later : later.slice(0, end);
    goesOn.length = depth;
    goesOn[depth] = siblings.some((row) => row.depth === depth);
    if (depth === 0) return { prefix: '', node };
    const above = goesOn
      .slice(1, depth)
      .map((more) => (more ? glyphs.through : glyphs.blank))
      .join('');
    return { prefix: `${above}${goesOn[depth] ? glyphs.branch : glyphs.corner}`, node };
  });
}
