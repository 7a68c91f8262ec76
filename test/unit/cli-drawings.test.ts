/** What `stack graph` and `df` draw in a terminal. */
import { describe, expect, it } from 'vitest';
import { cellsFor, glyphsFor } from '../../src/cli/print/draw-bars.ts';
import { drawDiskUsage } from '../../src/cli/print/draw-disk-usage.ts';
import { drawGraph } from '../../src/cli/print/draw-graph.ts';
import { toPaintedText } from '../../src/cli/print/print-painted.ts';
import { widthOf } from '../../src/cli/print/text-width.ts';
import type { StackName } from '../../src/core/ids.ts';
import type { GraphNode } from '../../src/store/stacks/stack-graph.ts';
import type { DiskUsage } from '../../src/upkeep/disk-usage.ts';

const MIB = 1024 * 1024;
const node = (stack: string, base: string | null, addedMib: number, behind = false): GraphNode => ({
  stack: stack as StackName,
  revision: 1,
  addedBytes: addedMib * MIB,
  base: base as StackName | null,
  behind,
});
const nodes = [
  node('alone', null, 1),
  node('debian', null, 40),
  node('node', 'debian', 20),
  node('node-app', 'node', 2),
  node('python', 'debian', 10, true),
];
const usage: DiskUsage = {
  stacks: [
    {
      name: 'a' as StackName,
      revision: 2,
      revisions: 2,
      ownBytes: 40 * MIB,
      historyBytes: 10 * MIB,
      sharedBytes: 0,
    },
    {
      name: 'b' as StackName,
      revision: 1,
      revisions: 1,
      ownBytes: MIB,
      historyBytes: 0,
      sharedBytes: 0,
    },
  ],
  layers: { count: 3, bytes: 41 * MIB },
  images: { count: 2, bytes: 4096 },
  packages: { count: 0, bytes: 0 },
  builds: { count: 0, bytes: 0 },
  builderBytes: 0,
  reportBytes: 0,
  scratchBytes: 0,
  tmpBytes: 0,
  reclaimableBytes: 0,
  freeBytes: 1024 * MIB,
};

const draw = (utf8: boolean, width: number | undefined, inColor = false) =>
  toPaintedText(drawGraph(nodes, { glyphs: glyphsFor(utf8), width }), inColor);

describe('the tree of stacks', () => {
  it('has one line for each stack below its base', () => {
    expect(draw(true, undefined)).toBe(
      [
        'alone          rev 1                 1.0 MiB',
        'debian         rev 1                  40 MiB',
        '├─ node        rev 1                  20 MiB',
        '│  └─ node-app  rev 1                  2.0 MiB',
        '└─ python      rev 1, behind debian   10 MiB\n',
      ]
        .join('\n')
        .replace('alone          ', 'alone           ')
        .replace('debian         rev', 'debian          rev')
        .replace('node        rev', 'node         rev')
        .replace('python      rev', 'python       rev')
        .replace('rev 1                  2.0', 'rev 1                 2.0'),
    );
  });

  it('is ASCII where the locale is not UTF-8', () => {
    const text = draw(false, 80);
    expect(text).toMatch(/^[\x20-\x7e\n]*$/);
    expect(text).toContain('|- node');
    expect(text).toContain('|  `- node-app');
  });

  it.each([20, 50, 60, 80, 200])('has bars that fit into %i columns', (width) => {
    for (const line of draw(true, width).split('\n')) {
      if (width >= 50) expect(widthOf(line)).toBeLessThan(width);
      else expect(line).not.toContain('█');
    }
  });

  it('is coloured only when asked', () => {
    expect(draw(true, 80)).not.toContain('\u001b');
    expect(draw(true, 80, true)).toContain('\u001b[1mdebian\u001b[22m');
  });
});

describe('disk usage', () => {
  it('has a bar for each stack, with the part of old revisions', () => {
    const lines = toPaintedText(
      drawDiskUsage(usage, { glyphs: glyphsFor(true), width: 120 }),
      false,
    );
    expect(lines).toMatch(/^a .* █{30}▒{10}$/m);
    expect(lines).toMatch(/^b .* █$/m);
    expect(lines).toMatch(/^free on disk +1\.0 GiB$/m);
  });

  it('is two plain tables where the width is not known', () => {
    const lines = toPaintedText(
      drawDiskUsage(usage, { glyphs: glyphsFor(true), width: undefined }),
      false,
    );
    expect(lines).toMatch(/^STACK {3}REVISIONS {3}OWN +OF OLD REVISIONS {3}SHARED\n/);
    expect(lines).not.toContain('█');
  });
});

it('text of others cannot control the terminal', () => {
  const text = toPaintedText([['a\u001b[2J', { text: 'b\u009b', style: 'red' }]], true);
  expect(text).toBe('a\\u{1b}[2J\u001b[31mb\\u{9b}\u001b[39m\n');
});

it('a bar shows anything, and no more than everything', () => {
  expect([0, 1, 50, 100, 500].map((amount) => cellsFor(amount, 100, 10))).toEqual([
    0, 1, 5, 10, 10,
  ]);
  expect(cellsFor(1, 0, 10)).toBe(0);
});
