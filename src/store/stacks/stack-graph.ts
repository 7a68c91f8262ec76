/** The tree of bases and the stacks built on them, with the size that each adds, as data, DOT or SVG. Drawing is pure. */
import type { StackName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import { sizeOfLayer } from '../layers/list-layers.ts';
import {
  type DamageListener,
  findBase,
  findBehind,
  readSoundStacks,
  throwDamage,
} from './current-stacks.ts';

export interface GraphNode {
  readonly stack: StackName;
  readonly revision: number;
  /** Bytes of the layers that the stack adds to its base; of all its layers if it has no base. */
  readonly addedBytes: number;
  readonly base: StackName | null;
  /** Whether the base has a newer revision than the revision that the stack was built on. */
  readonly behind: boolean;
}

/** Returns one node for each stack, by name; damaged stacks are handled as in `listStacks`. */
export function readStackGraph(
  layout: Layout,
  onDamage: DamageListener = throwDamage,
): GraphNode[] {
  const stacks = readSoundStacks(layout, onDamage);
  return stacks.map((entry) => {
    const name = findBase(entry, stacks);
    const base = stacks.find(({ revision }) => revision.stack === name);
    // Layers of the base's current revision do not count. Layers of an earlier revision do, because only this stack needs them.
    const below = new Set(base?.image.layers);
    const added = entry.image.layers.filter((id) => !below.has(id));
    return {
      stack: entry.revision.stack,
      revision: entry.revision.revision,
      addedBytes: added.reduce((sum, id) => sum + (sizeOfLayer(layout, id) ?? 0), 0),
      base: base?.revision.stack ?? null,
      behind: findBehind(entry, stacks) !== null,
    };
  });
}

/** Lists each base, followed by the stacks built on it, one level deeper. If bases form a cycle, one of its stacks is at depth 0. */
export function toRows(
  nodes: readonly GraphNode[],
): { readonly node: GraphNode; readonly depth: number }[] {
  const rows: ReturnType<typeof toRows> = [];
  const placed = new Set<StackName>();
  const place = (node: GraphNode, depth: number) => {
    if (placed.has(node.stack)) return;
    placed.add(node.stack);
    rows.push({ node, depth });
    for (const other of nodes) if (other.base === node.stack) place(other, depth + 1);
  };
  for (const node of nodes) if (node.base === null) place(node, 0);
  for (const node of nodes) place(node, 0);
  return rows;
}

const MIB = 1024 * 1024;
const toSize = (bytes: number) => `${(bytes / MIB).toFixed(1)} MiB`;

/** Draws the graph in DOT. Needs no escaping: stack names contain no characters special in DOT or XML. */
export function toDot(nodes: readonly GraphNode[]): string {
  const boxes = nodes.map(({ stack, revision, addedBytes, behind }) => {
    const label = `${stack}\\nrev ${revision}, ${toSize(addedBytes)}`;
    return `  "${stack}" [label="${label}"${behind ? ', style=dashed' : ''}];\n`;
  });
  const edges = nodes
    .filter(({ base }) => base !== null)
    .map(({ stack, base }) => `  "${base}" -> "${stack}";\n`);
  return `digraph stacks {\n  rankdir=LR;\n  node [shape=box];\n${boxes.join('')}${edges.join('')}}\n`;
}

const ROW_HEIGHT = 28;
const INDENT = 28;
const MARGIN = 16;
const NAME_WIDTH = 220;
const BAR_WIDTH = 420;
const SIZE_WIDTH = 110;

/** Draws the tree, with a bar for the size that each stack adds; dashed if the stack is behind its base. */
export function toSvg(nodes: readonly GraphNode[]): string {
  const rows = toRows(nodes);
  const most = Math.max(1, ...nodes.map(({ addedBytes }) => addedBytes));
  const deepest = Math.max(0, ...rows.map(({ depth }) => depth));
  const barX = MARGIN + deepest * INDENT + NAME_WIDTH;
  const width = barX + BAR_WIDTH + SIZE_WIDTH + MARGIN;
  const height = 2 * MARGIN + rows.length * ROW_HEIGHT;
  const middle = (index: number) => MARGIN + index * ROW_HEIGHT + ROW_HEIGHT / 2;
  const indexOf = new Map(rows.map(({ node }, index) => [node.stack, index]));
  const drawn = rows.map(({ node, depth }, index) => {
    const x = MARGIN + depth * INDENT;
    const y = middle(index);
    const above = depth === 0 || node.base === null ? undefined : indexOf.get(node.base);
    const elbow =
      above === undefined
        ? ''
        : `<path d="M${x - INDENT / 2} ${middle(above) + 8}V${y}H${x - 4}" fill="none" stroke="#888"/>`;
    const length = Math.max(1, Math.round((BAR_WIDTH * node.addedBytes) / most));
    const dash = node.behind ? ' stroke-dasharray="4 3"' : '';
    const note = node.behind ? ', behind' : '';
    return [
      elbow,
      `<text x="${x}" y="${y + 4}">${node.stack} <tspan fill="#777">rev ${node.revision}${note}</tspan></text>`,
      `<rect x="${barX}" y="${y - 8}" width="${length}" height="16" fill="#9bbfe0" stroke="#38648c"${dash}/>`,
      `<text x="${barX + length + 8}" y="${y + 4}">${toSize(node.addedBytes)}</text>`,
    ].join('');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13">`,
    `<title>Stacks and what each adds to its base</title>`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...drawn,
    '</svg>\n',
  ].join('\n');
}
