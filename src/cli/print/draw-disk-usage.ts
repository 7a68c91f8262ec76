/** Draws disk usage: a bar for each stack and for each total. Pure. */
import type { DiskUsage } from '../../upkeep/disk-usage.ts';
import { cellsFor, type DrawOptions, roomForBar } from './draw-bars.ts';
import { formatBytes, formatCount } from './format-quantities.ts';
import type { PaintedLine, Piece, Style } from './print-painted.ts';
import { padTo, widthOf } from './text-width.ts';

const GAP = '   ';

interface Part {
  readonly bytes: number;
  readonly style: Style;
  readonly isOld?: boolean;
}

interface Columns {
  readonly header: readonly string[];
  readonly rows: readonly { readonly cells: readonly string[]; readonly parts: readonly Part[] }[];
}

/** Draws two tables, with bars if the width is known and suffices. */
export function drawDiskUsage(usage: DiskUsage, options: DrawOptions): PaintedLine[] {
  return [...drawColumns(toStacks(usage), options), [], ...drawColumns(toTotals(usage), options)];
}

const toStacks = ({ stacks }: DiskUsage): Columns => ({
  header: ['STACK', 'REVISIONS', 'OWN', 'OF OLD REVISIONS', 'SHARED'],
  rows: stacks.map(({ name, revisions, ownBytes, historyBytes, sharedBytes }) => ({
    cells: [
      name,
      String(revisions),
      ...[ownBytes, historyBytes, sharedBytes].map((bytes) => formatBytes(bytes)),
    ],
    parts: [
      { bytes: ownBytes - historyBytes, style: 'cyan' },
      { bytes: historyBytes, style: 'yellow', isOld: true },
    ],
  })),
});

function toTotals(usage: DiskUsage): Columns {
  const totals: readonly (readonly [name: string, bytes: number, style: Style])[] = [
    [formatCount(usage.layers.count, 'layer'), usage.layers.bytes, 'cyan'],
    [formatCount(usage.images.count, 'image'), usage.images.bytes, 'cyan'],
    [formatCount(usage.packages.count, 'code package'), usage.packages.bytes, 'cyan'],
    [formatCount(usage.builds.count, 'cached build'), usage.builds.bytes, 'cyan'],
    ['builder', usage.builderBytes, 'cyan'],
    ['tasks', usage.scratchBytes, 'cyan'],
    ['reports', usage.reportBytes, 'cyan'],
    ['being written', usage.tmpBytes, 'cyan'],
    ['gc would free', usage.reclaimableBytes, 'yellow'],
    ['free on disk', usage.freeBytes, 'green'],
  ];
  return {
    header: ['TOTAL', 'SIZE'],
    rows: totals.map(([name, bytes, style]) => ({
      cells: [name, formatBytes(bytes)],
      // No bar for the free space: it is so large that no other bar would be visible.
      parts: style === 'green' ? [] : [{ bytes, style }],
    })),
  };
}

function drawColumns({ header, rows }: Columns, options: DrawOptions): PaintedLine[] {
  const { glyphs, width } = options;
  const widths = header.map((name, column) =>
    Math.max(widthOf(name), ...rows.map(({ cells }) => widthOf(cells[column] ?? ''))),
  );
  const before = widths.reduce((sum, cells) => sum + cells + GAP.length, 0);
  const room = roomForBar(width, before);
  const totalOf = (parts: readonly Part[]) => parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const most = Math.max(0, ...rows.map(({ parts }) => totalOf(parts)));
  const lineUp = (cells: readonly string[]) =>
    cells.map((cell, column) => padTo(cell, widths[column] ?? 0)).join(GAP);
  const toBar = ({ bytes, style, isOld = false }: Part): Piece => ({
    text: (isOld ? glyphs.half : glyphs.full).repeat(cellsFor(bytes, most, room)),
    style,
  });
  const bars = (parts: readonly Part[]) => (room === 0 ? [] : [GAP, ...parts.map(toBar)]);
  return [
    [{ text: lineUp(header).trimEnd(), style: 'bold' }],
    ...rows.map(({ cells, parts }): PaintedLine => [lineUp(cells), ...bars(parts)]),
  ];
}
