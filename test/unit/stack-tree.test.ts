/** The bases of stacks, and how they are drawn. */
import { describe, expect, it } from 'vitest';
import { type CurrentStack, findBase, findBehind } from '../../src/store/stacks/current-stacks.ts';
import { parseRelease } from '../../src/store/stacks/release.ts';
import { type GraphNode, toDot, toRows, toSvg } from '../../src/store/stacks/stack-graph.ts';
import { digestOf, imageOf, stackName } from '../support/stacks/stack-store.ts';

/** A stack with the layers of the seeds; built on `base` if given. */
function stackOf(name: string, seeds: readonly string[], base?: string): CurrentStack {
  const layers = seeds.flatMap((seed) => imageOf(seed).layers);
  const diffIds = seeds.flatMap((seed) => imageOf(seed).diffIds);
  const built = {
    kind: 'build' as const,
    directory: `/stacks/${name}`,
    inputHash: '0'.repeat(64),
    base: base === undefined ? undefined : { stack: stackName(base), revision: 1 },
  };
  return {
    image: { ...imageOf(name), layers, diffIds },
    revision: {
      stack: stackName(name),
      revision: 1,
      image: digestOf(name),
      createdAt: '2026-01-01T00:00:00.000Z',
      source: built,
    },
  };
}

describe('findBase and findBehind', () => {
  const base = stackOf('base', ['a']);
  const middle = stackOf('middle', ['a', 'b']);

  it('use the longest common beginning of the layers if no base was recorded', () => {
    const top = stackOf('top', ['a', 'b', 'c']);
    expect(findBase(top, [base, middle, top])).toBe('middle');
    expect(findBase(middle, [base, middle, top])).toBe('base');
    expect(findBase(base, [base, middle, top])).toBeUndefined();
    expect(findBehind(top, [base, middle, top])).toBeNull();
  });

  it('prefer a stack that was built for the base to copies of it', () => {
    const top = stackOf('top', ['a', 'b', 'c']);
    const copy = stackOf('a-copy', ['a', 'b']);
    const source = { kind: 'import' as const, reference: 'oci:x' };
    const imported = { ...copy, revision: { ...copy.revision, source } };
    expect(findBase(top, [base, imported, middle, top])).toBe('middle');
    expect(findBase(top, [base, middle, imported, top])).toBe('middle');
    expect(findBase(top, [base, imported, top])).toBe('a-copy');
  });

  it('never return a stack with the same layers as the base', () => {
    const twin = stackOf('twin', ['a']);
    expect(findBase(twin, [base, twin])).toBeUndefined();
  });

  it('use the recorded base, and notice that it has changed', () => {
    const old = stackOf('old', ['z', 'c'], 'base');
    expect(findBase(old, [base, old])).toBe('base');
    expect(findBehind(old, [base, old])).toBe('base');
    const fresh = stackOf('fresh', ['a', 'c'], 'base');
    expect(findBehind(fresh, [base, fresh])).toBeNull();
    const nothingMore = stackOf('nothing-more', ['a'], 'base');
    expect(findBehind(nothingMore, [base, nothingMore])).toBeNull();
  });

  it('never call a stack behind a base that is gone', () => {
    const orphan = stackOf('orphan', ['z', 'c'], 'gone');
    expect(findBehind(orphan, [base, orphan])).toBeNull();
  });
});

describe('the graph', () => {
  const node = (stack: string, base: string | null, behind = false): GraphNode => ({
    stack: stackName(stack),
    revision: 2,
    addedBytes: 3 * 1024 * 1024,
    base: base === null ? null : stackName(base),
    behind,
  });
  const nodes = [node('c', 'b', true), node('b', null), node('a', 'b'), node('d', 'a')];

  it('lists each stack below its base', () => {
    expect(toRows(nodes).map(({ node: { stack }, depth }) => `${depth} ${stack}`)).toEqual([
      '0 b',
      '1 c',
      '1 a',
      '2 d',
    ]);
  });

  it('lists each stack once', () => {
    expect(toRows([node('x', 'y'), node('y', 'x')]).map(({ depth }) => depth)).toEqual([0, 1]);
  });

  it('as DOT has sizes, edges and a dashed box for stacks behind their base', () => {
    expect(toDot([node('b', null), node('c', 'b', true)])).toBe(
      [
        'digraph stacks {',
        '  rankdir=LR;',
        '  node [shape=box];',
        '  "b" [label="b\\nrev 2, 3.0 MiB"];',
        '  "c" [label="c\\nrev 2, 3.0 MiB", style=dashed];',
        '  "b" -> "c";',
        '}',
        '',
      ].join('\n'),
    );
  });

  it('as SVG has one bar for each stack', () => {
    const svg = toSvg(nodes);
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="\d+" height="144" /);
    expect(svg.endsWith('</svg>\n')).toBe(true);
    expect(svg.match(/<rect x=/g)).toHaveLength(4);
    expect(svg.match(/<path /g)).toHaveLength(3);
    expect(svg.match(/stroke-dasharray/g)).toHaveLength(1);
  });

  it('is empty without stacks', () => {
    expect(toSvg([])).not.toContain('<text');
    expect(toDot([])).toContain('digraph stacks {');
  });
});

describe('parseRelease', () => {
  it('reads revisions and digests', () => {
    const text = JSON.stringify({ stacks: { 'ruby-3.3': 4, 'node-20': digestOf('x') } });
    expect([...parseRelease(text, 'f')]).toEqual([
      ['ruby-3.3', 4],
      ['node-20', digestOf('x')],
    ]);
  });

  it.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['no changes', '{"stacks":{}}'],
    ['an invalid name', '{"stacks":{"../x":1}}'],
    ['revision 0', '{"stacks":{"a":0}}'],
    ['half a revision', '{"stacks":{"a":1.5}}'],
    ['a short digest', '{"stacks":{"a":"sha256:12"}}'],
    ['a removal', '{"stacks":{"a":null}}'],
    ['an unknown field', '{"stacks":{"a":1},"other":1}'],
  ])('refuses %s', (_, text) => {
    expect(() => parseRelease(text, 'f')).toThrow(
      expect.objectContaining({
        code: 'ERR_STACKSHIM_SPEC_INVALID',
        message: expect.stringMatching(/^read release f: /),
      }),
    );
  });
});
